"""What every split gives: rows of the windows for training, validation and test."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from recformer.config import Options, option
from recformer.data.dataset import Dataset
from recformer.data.ties import TimeTies, group_starts
from recformer.data.windows import Windows
from recformer.errors import DataError

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint rows of one dataset's windows."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    item_set: Literal["items", "tokens"]
    """What is ranked: the catalogue's items, or all tokens (SOS and EOS too, as the article does)."""
    skipped_users: int = 0
    """Users whose history is too short to give a case; nothing is dropped in silence."""
    num_targets: NDArray[np.int64] | None = None
    """(W,) how many tokens, from a held-out window's target on, are its targets; None: one each."""

    def rows(self, part: Part) -> NDArray[np.int64]:
        """Rows of one part, ascending."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]

    def targets_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """(B,) how many targets the held-out windows `rows` (B,) have; None: one each."""
        return None if self.num_targets is None else self.num_targets[rows]

    def fingerprint(self, part: Part) -> str:
        """16 hex digits over the rows of one part."""
        return hashlib.sha256(np.ascontiguousarray(self.rows(part)).tobytes()).hexdigest()[:16]


class SplitOptions(Options):
    """Options of a split."""

    @model_serializer(mode="wrap")
    def _leave_the_usual_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records written before there was a choice say the same as those written now."""
        value = handler(self)
        return {key: entry for key, entry in value.items() if (key, entry) != ("time_ties", "file")}


def time_ties_option() -> Any:
    """The field `time_ties` of a split."""
    return option(
        "file",
        "Ties in time",
        "Which of a user's interactions at one time counts as the later one. file: the later line. hash: a seeded "
        "order that no counting can learn, whatever the order of lines. as_set: none; all that are tied with the "
        "held-out one are held out and looked for together.",
        group="Data",
        advanced=True,
    )


def time_ties_of(split: Options) -> TimeTies:
    """How a split breaks ties in time; by the order of lines where it has no such option."""
    return getattr(split, "time_ties", "file")


class Fractions(SplitOptions):
    """Options of splits that hold out shares of the data."""

    validation_fraction: float = option(
        0.1, "Validation share", "Share of the data held out for validation.", group="Data", gt=0, lt=1
    )
    test_fraction: float = option(
        0.1, "Test share", "Share of the data held out for the test.", group="Data", gt=0, lt=1
    )

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"validation_fraction = {self.validation_fraction} and test_fraction = {self.test_fraction} leave "
                "nothing for training; their sum must be less than 1"
            )
        return self


def targets_at_once(dataset: Dataset, windows: Windows) -> NDArray[np.int64]:
    """(W,) how many interactions of its user, from a window's target on, are at the target's time; 1 for EOS.

    Times 1 2 2 2 of one user and windows of one token, [SOS] → a, [a] → b, [b] → c, [c] → d, [d] → EOS: 1 3 2 1 1.
    """
    rows = np.arange(len(windows))
    places = item_places(windows, rows)
    ends = np.append(np.flatnonzero(group_starts(dataset)), dataset.num_interactions)
    counts = np.ones(len(rows), dtype=np.int64)
    items = windows.targets(rows) != windows.eos
    counts[items] = ends[np.searchsorted(ends, places[items], side="right")] - places[items]
    return counts


def item_places(windows: Windows, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which interactions the targets of `rows` are: (B,) → (B,). EOS is none: its place means nothing."""
    return windows.target_positions(rows) - 2 * windows.users[rows] - 1  # without SOS and EOS


def require_parts(split: Split, windows: Windows, name: str) -> Split:
    """`split` itself. Raises DataError when a part is empty, saying how many windows there were."""
    empty = [part for part in ("train", "validation", "test") if not len(split.rows(part))]
    if empty:
        raise DataError(
            f"split {name}: no cases for {' and '.join(empty)} (the dataset has {len(windows)} windows of "
            f"{windows.size} tokens). Use a dataset with longer histories, a smaller window, another split, or ties "
            "in time by file or hash where all of a user's interactions are at one time"
        )
    return split
