"""Models asked for recommendations, and what they answer: each model is kept in memory until its file changes, each
question asked once."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from recformer.data.dataset import Dataset, Id, token_of
from recformer.errors import RecformerError
from recformer.evaluation.ranks import Masking
from recformer.files.stamps import Stamp, stamp
from recformer.run.model_ref import ModelRef
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers

if TYPE_CHECKING:
    from recformer.recommend.scores import NextScores
    from recformer.recommend.side_by_side import Advice, Query
    from recformer.recommend.user_case import UserCase

MOST_MODELS = 8  # in memory: twice as many as one page shows
MOST_SCORES = 32  # a window's six rows of a catalogue of 4,000 items are 200 KB


@dataclass(frozen=True, eq=False)
class Ready:
    """A checkpoint that can be asked, or lists that were made elsewhere."""

    ref: ModelRef
    stamp: Stamp | None
    """Of its file."""
    model: Any
    """Lists, where that is what there is."""
    length: int
    """T, the latest items that it reads; lists read none."""
    data_known: bool
    """Whether anything says which data it was trained on; where not, only its sizes fit."""


@dataclass(frozen=True, eq=False)
class RecommendChoice:
    """Whose items, by which models."""

    ready: list[Ready]
    """Not empty."""
    data: Dataset
    user: Id | None
    """None for nobody of the dataset."""
    k: int
    masking: Masking
    runs: list[RunSummary]
    recent: int
    """How many latest items are the window, for masking and repeats."""

    @property
    def user_token(self) -> int | None:
        return None if self.user is None else token_of(self.data.user_ids, self.user)


@dataclass(frozen=True, eq=False)
class ShownUser:
    """What the models answered, and how they are called and coloured."""

    choice: RecommendChoice
    advice: dict[str, Any]
    names: list[str]
    checkpoints: list[str]
    colours: list[str]
    own: tuple[Id, ...] | None
    """The user's own latest items; None for nobody."""
    latest: tuple[Id, ...]
    """Item ids of the latest items that were asked about, made up or not, oldest first."""


Failures = dict[ModelRef, RecformerError]
"""Models that cannot be asked, and why."""


def ready(models: list[ModelRef], data: Dataset) -> tuple[list[Ready], Failures]:
    """The models that can be asked about this dataset; why the others cannot."""
    from recformer.evaluation.dataset_check import check_fit, knows_its_data

    found: list[Ready] = []
    failures: Failures = {}
    for ref in models:
        now = stamp(ref.path)
        try:
            if ref.is_lists:
                found.append(Ready(ref, now, _lists(ref.path, now, data.num_users, data.num_items), 0, True))
                continue
            model, info = _model(ref.path, now)
            check_fit(readers.root(), info, data, ref)
        except RecformerError as error:
            failures[ref] = error
        else:
            known = knows_its_data(readers.root(), info, ref)
            found.append(Ready(ref, now, model, info.shape.window, known))
    return found, failures


def advice(asked: list[Ready], data: Dataset, question: "Query") -> "tuple[Advice, list[Ready], Failures]":
    """What `side_by_side.advice_of` gives of the models that answer, those models, and why others do not.

    `asked` is not empty. Raises UsageError and DataError for what is wrong with the question, and what kept all of
    the models from answering.
    """
    from recformer.recommend.given_list import GivenList, given_list
    from recformer.recommend.side_by_side import Answer, advice_of

    user_case = question.user_case(data)
    answers: list[Answer | GivenList] = []
    answering: list[Ready] = []
    failures: Failures = {}
    for one in asked:
        try:
            if one.ref.is_lists:
                answers.append(given_list(one.ref, one.model, data, user_case))
            else:
                scores = _next_scores(one, data, (question.user, question.items, question.recent), user_case)
                answers.append(Answer(one.ref, scores))
        except RecformerError as error:
            failures[one.ref] = error
        else:
            answering.append(one)
    if not answers:
        raise next(iter(failures.values()))
    return advice_of(answers, data, user_case, question), answering, failures


@st.cache_resource(max_entries=MOST_MODELS, show_spinner="Loading the model …")
def _model(path: Path, now: Stamp | None) -> Any:
    """Model and record. Sessions share it: a forward pass in evaluation mode changes nothing in a model."""
    from recformer.checkpoint.load import load

    return load(path)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner="Reading the lists …")
def _lists(path: Path, now: Stamp | None, num_users: int, num_items: int) -> Any:
    from recformer.evaluation.lists.kept import read_kept

    return read_kept(path, num_users, num_items)


@st.cache_resource(
    max_entries=MOST_SCORES,
    show_spinner=False,
    hash_funcs={Ready: lambda one: (str(one.ref.path), one.stamp), Dataset: lambda data: data.fingerprint},
)
def _next_scores(
    one: Ready, data: Dataset, about: tuple[Id | None, tuple[Id, ...] | None, int], _case: "UserCase"
) -> "NextScores":
    from recformer.recommend.side_by_side import scores_by

    return scores_by(one.ref, one.model, one.length, data, _case)
