"""What the Compare page shows: which models, how they are measured, their figures, and what these say; no widgets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.data.split.base import Part
from recformer.data.ties import TimeTies
from recformer.data.user_sample import UserSample
from recformer.errors import count
from recformer.evaluation.compare import Comparison
from recformer.evaluation.conclusion import Conclusion
from recformer.evaluation.ranks import Masking
from recformer.evaluation.report import (
    looks_in_words,
    question_in_words,
    sample_in_words,
    settings_in_words,
    split_in_words,
    split_name,
    ties_in_time,
)
from recformer.evaluation.significance import Question
from recformer.evaluation.slices import Slice, slice_intervals, slices_of
from recformer.evaluation.table import Evaluation, Result, masking_of
from recformer.run.model_ref import ModelRef, model_label
from recformer.run.overview import RunSummary, labels_of
from recformer.ui.shared.columns import heading
from recformer.ui.shared.palette import Style

COMMIT_DIGITS = 7
ACCURACY = ["ndcg", "mrr", "hr", "map"]
DUPLICATION = ["duplication/window", "duplication/history"]
TITLES = {
    "ndcg": "NDCG",
    "mrr": "MRR",
    "hr": "HR",
    "map": "MAP",
    "recall": "Recall",
    "duplication/window": "Duplication in the input window",
    "duplication/history": "Duplication in the whole history",
    "novelty": "Novelty (bits)",
    "popularity": "Average popularity",
    "coverage": "Catalogue coverage",
    "gini": "Gini coefficient",
}
DIVERSITY = "diversity/"  # of one column of the item table, whose name follows
SliceRows = tuple[list[Slice], list[list[Result]]]
"""Slices, and for each of them an interval a model."""


def title_of(metric: str) -> str:
    """A metric's name for people."""
    if metric.startswith(DIVERSITY):
        return f"{heading(metric.removeprefix(DIVERSITY))} diversity within a list"
    return TITLES[metric]


@dataclass(frozen=True)
class ComparisonChoice:
    """What is compared with what, and how."""

    models: list[ModelRef]
    """The reference among them, where one is chosen."""
    reference: ModelRef | None
    masking: Masking
    split: str
    part: Part
    time_ties: TimeTies
    recent: int
    question: Question
    cutoffs: list[int]
    """The question's k among them: what decides is always shown."""
    data: Dataset
    runs: list[RunSummary]
    sample: UserSample | None = None
    """Whose cases are evaluated; None: everybody's."""

    @cached_property
    def label(self) -> Callable[[ModelRef], str]:
        """The name people know a model by."""
        return partial(model_label, labels_of(self.runs))


@dataclass(frozen=True, eq=False)
class Model:
    """One row of the comparison: a checkpoint, a baseline, or several seeds of one recipe."""

    label: str
    members: list[ModelRef]
    """What it stands for: one, or the seeds that are taken together."""
    evaluation: Evaluation
    style: Style

    @property
    def source(self) -> str:
        """Checkpoint and commit in small print: "best · 1a2b3c4"; what it is where it is none."""
        if self.members[0].is_baseline:
            return "counted, not trained"
        if self.members[0].is_lists:
            return "lists made elsewhere"
        commit = self.evaluation.commit[:COMMIT_DIGITS] or "commit unknown"
        return f"{self.evaluation.model.checkpoint} · {commit}"


@dataclass(frozen=True, eq=False, kw_only=True)
class ShownComparison(Comparison):
    """A comparison with the names and colours of its models; its figures are kept between redraws."""

    choice: ComparisonChoice
    styles: list[Style]
    keys: tuple[str, ...]
    """Identify the evaluations, for caches."""

    @property
    def beyond(self) -> list[str]:
        """Metrics of the lists apart from whether they hit."""
        diversity = [f"{DIVERSITY}{column}" for column in self.evaluations[0].categories]
        return ["novelty", "popularity", *diversity, "coverage", "gini"]

    @property
    def models(self) -> list[Model]:
        return list(map(Model, self.labels, self.members, self.evaluations, self.styles))

    @property
    def reference_model(self) -> Model:
        return self.models[self.reference or 0]

    def results(self, masking: Masking, names: Sequence[str]) -> list[Result]:
        return _results(self, masking, tuple(names))

    def shown(self, metrics: list[str], cutoffs: list[int] | None = None) -> list[Result]:
        """Results of these metrics at the chosen cutoffs, one a model; see evaluation.significance for what counts."""
        cutoffs = cutoffs or self.choice.cutoffs
        return self.results(self.choice.masking, [f"{metric}@{k}" for metric in metrics for k in cutoffs])

    def primary(self) -> list[Result]:
        """Results of the primary metric alone, one a model: the same figures wherever it is shown."""
        return self.results(self.choice.masking, [self.question.primary])

    def slices_by(self, dimension: str, name: str) -> SliceRows:
        """The metric `name` by one dimension."""
        return _slices(self, dimension, name)

    @property
    def conclusion(self) -> Conclusion:
        return self.answer(self.primary())

    @property
    def protocol_rows(self) -> dict[str, str]:
        """How these numbers came about, and what was trained on what."""
        protocol = self.protocol
        skipped = (
            f", {count(protocol.skipped_users, 'user')} with too short a history" if protocol.skipped_users else ""
        )
        known = [(model.label, model.evaluation.known) for model in self.models if not model.members[0].is_lists]
        elsewhere = self.conclusion.elsewhere
        chosen = [(model.label, settings_in_words(model.evaluation.settings)) for model in self.models]
        settings = "; ".join(f"{label} {words}" for label, words in chosen if words)
        rows = {
            "Dataset": f"{protocol.dataset} ({protocol.fingerprint})",
            "Split": f"{split_name(protocol)}, {protocol.part} part",
            "Looks at the test": looks_in_words(self.looks or 0),
            "Cases": f"{protocol.cases:,}{skipped}{sample_in_words(protocol)}, window of {protocol.recent}",
            "The split": split_in_words(self.evaluations[0].split_facts),
            "Ranked": f"among all {protocol.item_set}; ties in score count against the model",
            "Time": ties_in_time(protocol),
            "Masking": f"{self.choice.masking} (duplication: none)",
            "Statistics": f"{question_in_words(self)}; score intervals of means of ranks, else 1,000 bootstrap "
            "resamples of users; paired sign flips, corrected over the primary differences and over the others by kind "
            f"of metric; seed {protocol.bootstrap_seed}",
            "Trained on these cases": "; ".join(f"{label} {_count(seen.trained_on)}" for label, seen in known),
            "Chosen on these cases": "; ".join(f"{label} {_count(seen.validated_on)}" for label, seen in known),
        }
        more = {"Settings chosen on validation": settings, "Made elsewhere": elsewhere}
        return rows | {name: words for name, words in more.items() if words}

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The configuration of every run that is compared, by its name."""
        run_ids = {model.run for group in self.members for model in group}
        labels = labels_of(self.choice.runs)
        return {labels[run.run_id]: run.config for run in self.choice.runs if run.run_id in run_ids}


def _count(cases: int | None) -> str:
    return "unknown" if cases is None else f"{cases:,}"


KEPT_BY: dict[str | type[Any], Callable[[Any], Any]] = {
    ShownComparison: lambda shown: (shown.keys, shown.reference, shown.question, shown.choice.masking)
}


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=KEPT_BY)
def _results(comparison: ShownComparison, masking: Masking, names: tuple[str, ...]) -> list[Result]:
    return Comparison.results(comparison, masking, names)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=KEPT_BY)
def _slices(comparison: ShownComparison, dimension: str, name: str) -> SliceRows:
    first, data = comparison.evaluations[0], comparison.choice.data
    found = [] if first.facts is None else slices_of(data, first.facts, first.ranks)
    shown = [entry for entry in found if entry.dimension == dimension]
    return shown, slice_intervals(shown, comparison.evaluations, name, masking_of(name, comparison.choice.masking))
