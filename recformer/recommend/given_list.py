"""A user's list that was made elsewhere, beside what models would list: nothing more is known of what made it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recformer.data.dataset import Dataset, id_at
from recformer.errors import UsageError
from recformer.evaluation.lists.kept import UNKNOWN_ITEM, KeptLists
from recformer.evaluation.ranks import MASKINGS, Masking
from recformer.recommend.scores import entry
from recformer.recommend.user_case import NOT_ASKED, UserCase
from recformer.run.model_ref import ModelRef


@dataclass(frozen=True, eq=False)
class GivenList:
    """The list of one user."""

    checkpoint: ModelRef
    items: list[int]
    """Item tokens, best first; UNKNOWN_ITEM where the dataset does not have the item."""

    def left(self, user_case: UserCase, num_items: int, masking: Masking) -> list[int]:
        """What masking leaves of the list."""
        shown = user_case.candidates(num_items, masking)
        return [item for item in self.items if item == UNKNOWN_ITEM or shown[item]]


def given_list(model: ModelRef, lists: KeptLists, dataset: Dataset, user_case: UserCase) -> GivenList:
    """The list of the user who is asked about.

    Raises UsageError where there is none: for a user without a list, for latest items that are made up, and for lists
    that were not made for what comes after all but a user's last item.
    """
    record = lists.record
    made_for = (record.fingerprint, record.split.get("name"), record.part, record.time_ties)
    if made_for != (dataset.fingerprint, "leave_last_out", "test", "file"):
        raise UsageError(
            f"{model.run} has lists for {record.place}: what comes after all but a user's last {dataset.nouns.item} is "
            "the test part of leave_last_out, of the dataset as it is now"
        )
    if user_case.target is None or user_case.user_token is None:
        raise UsageError(f"{model.run} is {NOT_ASKED}")
    place = int(np.searchsorted(lists.users, user_case.user_token))
    if place == len(lists.users) or lists.users[place] != user_case.user_token:
        raise UsageError(f"{model.run} has no list for user {user_case.user}")
    return GivenList(model, lists.items[lists.starts[place] : lists.starts[place + 1]].tolist())


def advice_of_list(
    answer: GivenList, dataset: Dataset, user_case: UserCase, k: int, masking: Masking
) -> dict[str, Any]:
    """What `side_by_side.advice_of` says of a model; what is not known of a list is None: a rank of what is not in it,
    shares of probability, and reasons."""
    left = {name: answer.left(user_case, dataset.num_items, name) for name in MASKINGS}
    ranks = {
        name: places.index(user_case.target) + 1 if user_case.target in places else None
        for name, places in left.items()
    }
    raw = [item for item in answer.items[:k] if item != UNKNOWN_ITEM]
    hidden = {name: [id_at(dataset.item_ids, item) for item in raw if item not in left[name]] for name in MASKINGS}
    return {
        "run": answer.checkpoint.run,
        "checkpoint": answer.checkpoint.name,
        "target_rank": ranks[masking],
        "items": [
            entry(dataset, user_case, rank, item, None)
            for rank, item in enumerate(left[masking][:k], start=1)
            if item != UNKNOWN_ITEM
        ],
        "masking": {"target_ranks": ranks, "taken_out": hidden},
        "why": None,
    }
