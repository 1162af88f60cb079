"""The article's split, made honest: windows drawn at random, but seeded, so that nothing trained on is evaluated on."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recformer.config import option
from recformer.data.dataset import Dataset
from recformer.data.histories import Histories, marks_between
from recformer.data.split.base import Fractions, Split, require_parts, time_ties_option
from recformer.data.ties import STEP, mixed
from recformer.registry import SPLITS


class RandomWindowsOptions(Fractions):
    name: str = "random_windows"
    time_ties: Literal["file", "hash"] = time_ties_option()
    split_seed: int = option(
        0,
        "Split seed",
        "Which draw of windows; the same seed gives the same split for ever.",
        group="Data",
        ge=0,
        le=2**31,
    )
    size: int = option(
        5,
        "Window size",
        "Tokens of the windows that are drawn: only what has so many before it is a case (the article uses 5).",
        group="Data",
        advanced=True,
        ge=1,
        le=200,
    )


@SPLITS.register("random_windows")
class RandomWindows:
    """Each window falls into a part by a draw of its own, so neighbours that share four tokens land in different
    parts: optimistic by design. EOS can be the target and all tokens are ranked, as in the article."""

    Options = RandomWindowsOptions

    def __init__(self, options: RandomWindowsOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, histories: Histories) -> Split:
        """Cases for each part. Raises DataError when a part is empty."""
        firsts = np.minimum(histories.user_starts[:-1] + self.options.size, histories.user_starts[1:])
        trained = marks_between(firsts, histories.user_starts[1:], len(histories.tokens))
        ends = np.flatnonzero(trained)
        test_fraction, seed = self.options.test_fraction, self.options.split_seed
        draw = uniform_by_row(len(ends), seed)
        test = ends[draw < test_fraction]
        validation = ends[(draw >= test_fraction) & (draw < test_fraction + self.options.validation_fraction)]
        trained[test] = trained[validation] = False
        skipped = int(np.count_nonzero(firsts == histories.user_starts[1:]))
        parts = histories.cases_at(validation), histories.cases_at(test)
        return require_parts(Split(histories, trained, *parts, "tokens", skipped), dataset, "random_windows")


def uniform_by_row(count: int, seed: int) -> NDArray[np.float64]:
    """(count,) numbers in [0, 1), a pure function of row and seed: no library's generator, whose stream may change
    between versions, decides what was trained on."""
    with np.errstate(over="ignore"):
        state = mixed((np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed) * np.uint64(count + 1)) * STEP)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
