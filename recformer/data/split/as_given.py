"""The split that the data came with: files of training, validation and test."""

from typing import Literal

import numpy as np

from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories
from recformer.data.split.base import Split, SplitOptions, first_items, require_parts, time_ties_option
from recformer.errors import DataError
from recformer.registry import SPLITS


class AsGivenOptions(SplitOptions):
    NEEDS_PARTS = True
    name: str = "as_given"
    time_ties: Literal["file"] = time_ties_option()


@SPLITS.register("as_given")
class AsGiven:
    """Each interaction belongs to the part whose file it was in; a user's history is their training part, then their
    validation part, then the test, each in the order of time. A held-out case needs an interaction before it.
    """

    Options = AsGivenOptions

    def __init__(self, options: AsGivenOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, histories: Histories) -> Split:
        """Cases for each part. Raises DataError where the data came unsplit, and when a part is empty."""
        if dataset.parts is None:
            raise DataError(
                f"split as_given: {dataset.name} came as one table, without files of training, validation and test. "
                "Choose another split"
            )
        users = np.repeat(np.arange(dataset.num_users), np.diff(dataset.offsets))
        counts = np.bincount(users[dataset.parts == 0], minlength=dataset.num_users)

        def held_out(part: int) -> Cases:
            places = np.flatnonzero(np.asarray(dataset.parts) == part)
            places = places[places > dataset.offsets[users[places]]]  # with an interaction before it
            return histories.cases_at(places + 2 * users[places] + 1)  # SOS and EOS of users before, own SOS

        validation, test = held_out(1), held_out(2)
        skipped = dataset.num_users - len(np.unique(test.users))
        trained = first_items(histories, counts)
        return require_parts(Split(histories, trained, validation, test, "items", skipped), dataset, "as_given")
