"""A dataset made ready for training or evaluation: its users' histories and their split."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories, histories_of
from recformer.data.split.base import Part, Split, time_ties_of
from recformer.data.ties import in_order
from recformer.data.user_sample import UserSample, sampled
from recformer.errors import UsageError
from recformer.registry import SPLITS

TrainOn = Literal["train", "train_and_validation"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """One dataset, its histories, and one split of their cases."""

    dataset: Dataset
    """With ties in time in the order that the split says."""
    histories: Histories
    split: Split
    sample: UserSample | None = None
    """Whose held-out cases are evaluated; None: everybody's. What is trained on does not depend on it."""

    def cases(self, part: Part) -> Cases:
        """The cases of a part that are evaluated, in the order of users and time."""
        return self.split.cases(part) if self.sample is None else _sampled(self, part)


def splits_for(dataset: Dataset) -> list[str]:
    """Names of the splits that a dataset can have."""
    return [name for name in SPLITS.names() if dataset.parts is not None or not SPLITS.get(name).Options.NEEDS_PARTS]


def require_split(name: str, dataset: Dataset) -> None:
    """Raise UsageError, naming what is allowed, unless the dataset can have the split."""
    allowed = splits_for(dataset)
    if name in allowed:
        return
    why = f" of {dataset.name}, which did not come split" if name in SPLITS.names() else ""
    raise UsageError(f"split: there is no {name!r}{why}; allowed: {', '.join(allowed)}")


@lru_cache(maxsize=4)  # asked for by each thing that is counted of them, and a draw looks at all users' ids
def _sampled(prepared: Prepared, part: Part) -> Cases:
    return sampled(prepared.split.cases(part), prepared.dataset, prepared.sample)


def prepare(dataset: Dataset, split: Options, train_on: TrainOn = "train") -> Prepared:
    """Histories and split of a dataset. Raises DataError when a part of the split would be empty.

    To train on the validation part too is a refit: the cases of that part stay what they are, and are no longer unseen.
    """
    ordered = in_order(dataset, time_ties_of(split))
    histories = histories_of(ordered)
    found = SPLITS.get(split.name)(split)(ordered, histories)
    if train_on == "train_and_validation":
        found.trained[found.validation.target_places] = True
    return Prepared(ordered, histories, found)
