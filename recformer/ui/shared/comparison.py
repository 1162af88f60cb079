"""What the Compare page shows: which models, how they are measured, and their figures; without a widget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from recformer.data.dataset import Dataset
from recformer.data.ties import TimeTies
from recformer.evaluation.compare import Comparison
from recformer.evaluation.ranks import Masking
from recformer.evaluation.significance import Question
from recformer.evaluation.table import Evaluation, Result
from recformer.run.model_ref import ModelRef
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.palette import REFERENCE, Style, baseline_colours, run_colours, styles_together
from recformer.ui.shared.run_views import labels_of, model_label

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

    models: list[ModelRef]
    """The reference among them."""
    reference: ModelRef
    masking: Masking
    split: str
    time_ties: TimeTies
    window: int | None
    question: Question
    cutoffs: list[int]
    """The question's k among them: what decides is always shown."""
    data: Dataset
    runs: list[RunSummary]

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
        """Checkpoint and commit in small print: "best · 1a2b3c4"; "counted, not trained" for a baseline."""
        if self.members[0].is_baseline:
            return "counted, not trained"
        commit = self.evaluation.commit[:COMMIT_DIGITS] or "commit unknown"
        return f"{self.evaluation.model.checkpoint} · {commit}"


@dataclass(frozen=True, eq=False, kw_only=True)
class ShownComparison(Comparison):
    """A comparison with the names and colours of its models; its figures are kept between redraws."""

    choice: ComparisonChoice
    labels: list[str]
    styles: list[Style]
    keys: tuple[str, ...]
    """Say what the evaluations are of, for caches."""

    @property
    def models(self) -> list[Model]:
        return list(map(Model, self.labels, self.members, self.evaluations, self.styles))

    @property
    def reference_model(self) -> Model:
        return self.models[self.reference or 0]

    @property
    def colours(self) -> list[str]:
        return [style.colour for style in self.styles]

    def results(self, masking: Masking, names: Sequence[str]) -> list[Result]:
        return readers.view(self.keys, self.evaluations, masking, tuple(names), self.reference, self.question)

    def shown(self, metrics: list[str], cutoffs: list[int] | None = None) -> list[Result]:
        """Results of these metrics at the chosen cutoffs, one a model; see evaluation.significance for what counts."""
        cutoffs = cutoffs or self.choice.cutoffs
        return self.results(self.choice.masking, [f"{metric}@{k}" for metric in metrics for k in cutoffs])

    def primary(self) -> list[Result]:
        """Results of the primary metric alone, one a model: the same figures wherever it is shown."""
        return self.results(self.choice.masking, [self.question.primary])

    def series(self, results: list[Result], metric: str) -> list[tuple[str, str, list[dict[str, float]]]]:
        """(label, colour, one interval a cutoff) of each model, as charts take them."""
        return [
            (label, style.colour, [result["metrics"][f"{metric}@{k}"] for k in self.choice.cutoffs])
            for label, style, result in zip(self.labels, self.styles, results, strict=True)
        ]


def styles_of(runs: list[RunSummary], models: list[ModelRef], reference: int | None) -> list[Style]:
    """How each model is drawn: in its run's colour; baselines, and the reference where there are others, in grey."""
    own = run_colours(runs) | baseline_colours()
    grey = [model.is_baseline or (place == reference and len(models) > 1) for place, model in enumerate(models)]
    coloured = iter(
        styles_together([own[model.run] for model, is_grey in zip(models, grey, strict=True) if not is_grey])
    )
    return [
        (Style(REFERENCE if place == reference else own[model.run]) if is_grey else next(coloured))
        for place, (model, is_grey) in enumerate(zip(models, grey, strict=True))
    ]
