"""What models do for each user, from the rank store; what is missing and needed is computed in the background."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation.ranks import Masking
from recformer.recommend.find_users import UserResult, standing
from recformer.run.model_ref import ModelRef
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import evaluated, usable

if TYPE_CHECKING:
    from recformer.evaluation.table import Evaluation


@dataclass(frozen=True, eq=False)
class UserResults:
    """Where every user stands with the models whose ranks are there."""

    models: list[ModelRef]
    """In the order of the standing's columns."""
    standing: UserResult


def user_results(
    models: dict[ModelRef, str], data: Dataset, masking: Masking, k: int, *, needed: bool
) -> UserResults | None:
    """UserResults of the models (with their labels), under leave_last_out's test part.

    None where no ranks are stored; where they are `needed`, the missing ones are computed in the background first, and
    None says that the page tells how far that is.
    """
    entries = readers.pending(list(models), data, "leave_last_out")
    if needed:
        able = usable(entries, models.__getitem__)
        there = evaluated(able, models.__getitem__)
    else:
        able = {model: entry for model, entry in entries.items() if not isinstance(entry, RecformerError)}
        there = {model: found for model, entry in able.items() if (found := readers.stored(entry)) is not None}
    if not there:
        return None
    keys = tuple(able[model].key for model in there)
    return UserResults(list(there), _standing(keys, masking, k, list(there.values()), data))


@st.cache_resource(max_entries=8, show_spinner=False)
def _standing(
    keys: tuple[str, ...], masking: Masking, k: int, _evaluations: "list[Evaluation]", _data: Dataset
) -> UserResult:
    return standing([evaluation.ranks for evaluation in _evaluations], _data.num_users, masking, k)
