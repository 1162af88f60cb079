"""What the Compare page shows: which models, how they are measured, and their figures; without a widget."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from recformer.data.dataset import Dataset
from recformer.data.ties import TimeTies
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import Masking
from recformer.evaluation.significance import Question
from recformer.evaluation.table import Evaluation, Result
from recformer.registry import BASELINES
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.palette import REFERENCE, Style, baseline_colours, run_colours, styles_together
from recformer.ui.shared.run_views import checkpoint_label, labels_of

BASELINE = "baseline:"
COMMIT_DIGITS = 7
ACCURACY = ["ndcg", "mrr", "hr", "map"]
DUPLICATION = ["duplication/window", "duplication/history"]
BEYOND = ["novelty", "popularity", "diversity/genre", "coverage", "gini"]
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
    "diversity/genre": "Genre diversity within a list",
    "coverage": "Catalogue coverage",
    "gini": "Gini coefficient",
}


@dataclass(frozen=True)
class ComparisonChoice:
    """What is compared with what, and how."""

    names: list[str]
    """RUN/best, RUN/last or baseline:NAME, the reference among them."""
    reference: str
    """One of `names`."""
    masking: Masking
    split: str
    time_ties: TimeTies
    window: int | None
    question: Question
    cutoffs: list[int]
    """The question's k among them: what decides is always shown."""
    data: Dataset
    runs: list[RunSummary]

    def label(self, name: str) -> str:
        return model_label(self._labels, name)

    @cached_property
    def _labels(self) -> dict[str, str]:
        return labels_of(self.runs)


def model_label(labels: Mapping[str, str], name: str) -> str:
    """The name people know a checkpoint or a baseline by, with the runs' labels."""
    baseline = name.removeprefix(BASELINE)
    return BASELINES.get(baseline).TITLE if baseline != name else checkpoint_label(labels, name)


@dataclass(frozen=True)
class Model:
    """One row of the comparison: a checkpoint, a baseline, or several seeds of one recipe."""

    label: str
    members: list[str]
    """The names it stands for: one, or the seeds that are taken together."""
    evaluation: Evaluation
    style: Style

    @property
    def source(self) -> str:
        """Checkpoint and commit in small print: "best · 1a2b3c4"; "counted, not trained" for a baseline."""
        if self.members[0].startswith(BASELINE):
            return "counted, not trained"
        commit = self.evaluation.commit[:COMMIT_DIGITS] or "commit unknown"
        return f"{self.evaluation.checkpoint} · {commit}"


@dataclass(frozen=True)
class Comparison:
    """Models side by side under one protocol."""

    choice: ComparisonChoice
    models: list[Model]
    keys: tuple[str, ...]
    """Say what the evaluations are of, for caches."""
    reference: int
    """Which of the models the others are compared to."""

    @property
    def labels(self) -> list[str]:
        return [model.label for model in self.models]

    @property
    def colours(self) -> list[str]:
        return [model.style.colour for model in self.models]

    @property
    def evaluations(self) -> list[Evaluation]:
        return [model.evaluation for model in self.models]

    @property
    def protocol(self) -> Protocol:
        return self.models[0].evaluation.protocol

    @property
    def question(self) -> Question:
        return self.choice.question

    def shown(self, metrics: list[str], cutoffs: list[int] | None = None) -> list[Result]:
        """Results of these metrics at the chosen cutoffs, one a model; see evaluation.rule for what they count for."""
        return self._results([f"{metric}@{k}" for metric in metrics for k in cutoffs or self.choice.cutoffs])

    def primary(self) -> list[Result]:
        """Results of the primary metric alone, one a model: the same figures wherever it is shown."""
        return self._results([self.question.primary])

    def _results(self, names: list[str]) -> list[Result]:
        masking = self.choice.masking
        return readers.view(self.keys, self.evaluations, masking, tuple(names), self.reference, self.question)

    def series(self, results: list[Result], metric: str) -> list[tuple[str, str, list[dict[str, float]]]]:
        """(label, colour, one interval a cutoff) of each model, as charts take them."""
        return [
            (model.label, model.style.colour, [result["metrics"][f"{metric}@{k}"] for k in self.choice.cutoffs])
            for model, result in zip(self.models, results, strict=True)
        ]


def styles_of(runs: list[RunSummary], firsts: list[str], reference: int) -> list[Style]:
    """How each model is drawn: in its run's colour; baselines, and the reference where there are others, in grey."""
    own = run_colours(runs) | baseline_colours()
    neutral = {name for name in firsts if name.startswith(BASELINE)}
    neutral |= {firsts[reference]} if len(firsts) > 1 else set()
    coloured = [name for name in firsts if name not in neutral]
    styles = dict(zip(coloured, styles_together([own[name.split("/")[0]] for name in coloured]), strict=True))
    return [
        styles.get(name) or Style(REFERENCE if place == reference else own[name]) for place, name in enumerate(firsts)
    ]
