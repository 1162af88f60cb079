"""What every split gives: cases for training, validation and test."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from recformer.config import Options, option
from recformer.data.arrays import whole_users
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories, interactions, marks_between
from recformer.data.ties import TimeTies, group_starts
from recformer.errors import DataError

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Split:
    """Cases of one dataset's histories. No held-out target is a training target."""

    histories: Histories
    trained: NDArray[np.bool_]
    """(N + 2U,) which of the histories' tokens may be trained to be predicted, from the first item of a user on."""
    validation: Cases
    test: Cases
    item_set: Literal["items", "tokens"]
    """What is ranked: the catalogue's items, or all tokens (SOS and EOS too, as the article does)."""
    skipped_users: int = 0
    """Users without a test case because they have too few interactions; nothing is dropped in silence."""

    @property
    def train(self) -> Cases:
        """The training part as cases: 12 bytes for each, so only for who reads them one by one."""
        return self.histories.cases_at(np.flatnonzero(self.trained))

    def cases(self, part: Part) -> Cases:
        """Cases of one part, in the order of users and time."""
        return self.train if part == "train" else self.validation if part == "validation" else self.test

    def trained_by_user(self) -> NDArray[np.int64]:
        """(U,) how many tokens of each user are in the training part."""
        starts = self.histories.user_starts
        counts = np.empty(len(starts) - 1, dtype=np.int64)
        for first, end in whole_users(starts):  # reduceat makes 8 bytes of each token
            piece = self.trained[starts[first] : starts[end]]
            np.add.reduceat(piece, starts[first:end] - starts[first], dtype=np.int64, out=counts[first:end])
        return counts


class SplitOptions(Options):
    """Options of a split."""

    NEEDS_PARTS: ClassVar[bool] = False
    """Whether only data that came split can be split so."""

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


def with_targets_at_once(dataset: Dataset, cases: Cases) -> Cases:
    """The cases, each with all interactions of its user, from the target on, that are at the target's time.

    Times 1 2 2 2 of one user: the case that ends at the first 2 has 3 targets, the next ones 2 and 1. No target may be
    EOS.
    """
    places = interactions(cases)
    ends = np.append(np.flatnonzero(group_starts(dataset)), dataset.num_interactions)
    counts = ends[np.searchsorted(ends, places, side="right")] - places
    return Cases(cases.users, cases.ends, counts)


def first_items(histories: Histories, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N + 2U,) which tokens are among the first `counts` (U,) items of their user."""
    firsts = histories.user_starts[:-1] + 1  # after SOS
    return marks_between(firsts, firsts + counts, len(histories.tokens))


def require_parts(split: Split, dataset: Dataset, name: str) -> Split:
    """`split` itself. Raises DataError when a part is empty, saying how much there was."""
    sizes = {"train": split.trained.any(), "validation": len(split.validation), "test": len(split.test)}
    empty = [part for part, size in sizes.items() if not size]
    if empty:
        raise DataError(
            f"split {name}: no cases for {' and '.join(empty)} (the dataset has {dataset.num_interactions:,} "
            f"interactions of {dataset.num_users:,} users). Use a dataset with longer histories, another split, or "
            "ties in time by file or hash where all of a user's interactions are at one time"
        )
    return split
