"""What models do for each user, from the rank store; what is missing and needed is computed in the background."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation.ranks import Masking
from recformer.recommend.find_users import UserResult, standing
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import computed, leave_out

if TYPE_CHECKING:
    from recformer.evaluation.evaluate import Pending
    from recformer.evaluation.table import Evaluation


@dataclass(frozen=True, eq=False)
class UserResults:
    """Where every user stands with the models whose ranks are there."""

    names: list[str]
    """The models, in the order of the standing's columns."""
    standing: UserResult


def user_results(
    names: list[str], labels: dict[str, str], data: Dataset, masking: Masking, k: int, *, needed: bool
) -> UserResults | None:
    """UserResults of the models called `names`, under leave_last_out's test part.

    None where no ranks are stored; where they are `needed`, the missing ones are computed in the background first, and
    None says that the page tells how far that is.
    """
    entries: dict[str, Pending] = {}
    for name, entry in zip(names, readers.pending(names, data, "leave_last_out", None), strict=True):
        if not isinstance(entry, RecformerError):
            entries[name] = entry
        elif needed:
            leave_out(labels[name], entry)
    found = {name: readers.stored(entry) for name, entry in entries.items()}
    missing = [name for name, evaluation in found.items() if evaluation is None]
    if needed and missing:
        if not computed([(labels[name], entries[name]) for name in missing]):
            return None
        found |= {name: readers.stored(entries[name]) for name in missing}
    there = {name: evaluation for name, evaluation in found.items() if evaluation is not None}
    if not there:
        return None
    keys = tuple(entries[name].key for name in there)
    return UserResults(list(there), _standing(keys, masking, k, list(there.values()), data))


@st.cache_resource(max_entries=8, show_spinner=False)
def _standing(
    keys: tuple[str, ...], masking: Masking, k: int, _evaluations: "list[Evaluation]", _data: Dataset
) -> UserResult:
    return standing([evaluation.ranks for evaluation in _evaluations], _data.num_users, masking, k)
