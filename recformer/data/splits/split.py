"""What every split gives: rows of the windows for training, validation and test."""

import hashlib
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from recformer.config import Options, option
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

    def rows(self, part: Part) -> NDArray[np.int64]:
        """Rows of one part, ascending."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]

    def fingerprint(self, part: Part) -> str:
        """16 hex digits over the rows of one part."""
        return hashlib.sha256(np.ascontiguousarray(self.rows(part)).tobytes()).hexdigest()[:16]


class Fractions(Options):
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


def require_parts(split: Split, windows: Windows, name: str) -> Split:
    """`split` itself. Raises DataError when a part is empty, saying how many windows there were."""
    empty = [part for part in ("train", "validation", "test") if not len(split.rows(part))]
    if empty:
        raise DataError(
            f"split {name}: no cases for {' and '.join(empty)} (the dataset has {len(windows)} windows of "
            f"{windows.size} tokens). Use a dataset with longer histories, a smaller window or another split"
        )
    return split
