"""The article three ways: as published, its files under its own protocol, its recipes trained and asked honestly."""

from dataclasses import dataclass
from typing import Any, Literal

from recformer.article import CUTOFFS, DATASET, PUBLISHED, RECIPES, recipe_of_config, recipe_of_weights
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.evaluate import Task
from recformer.evaluation.ranks import Masking
from recformer.evaluation.summary import Evaluation, Result, summarise, view
from recformer.jobs.overview import RunSummary
from recformer.store import Root, find_checkpoint

Way = Literal["published", "its file", "honest"]
NAMES = ("hr", "mrr", "ndcg", "duplication/window")
SPLITS: dict[Way, str] = {"its file": "random_windows", "honest": "leave_last_out"}
MASKINGS: dict[Way, Masking] = {"its file": "window", "honest": "history"}


@dataclass(frozen=True)
class ArticleModel:
    """A model that shows one recipe in one way."""

    recipe: str
    way: Way
    run_id: str

    @property
    def name(self) -> str:
        return f"{self.run_id}/best"

    @property
    def masking(self) -> Masking:
        return MASKINGS[self.way]

    def task(self, dataset: Dataset) -> Task:
        """What it is evaluated on: the article's protocol, or the honest one."""
        return Task(dataset, parse_section("split", SPLITS[self.way]))


def article_models(root: Root, runs: list[RunSummary]) -> list[ArticleModel]:
    """The runs that show the article's recipes: its own files where they were imported, and for each recipe the newest
    finished run that was trained here under leave_last_out."""
    found: dict[tuple[str, Way], ArticleModel] = {}
    for run in sorted(runs, key=lambda run: -run.created):
        if "best" not in run.checkpoints:
            continue
        model = _model_of(root, run)
        if model is not None:
            found.setdefault((model.recipe, model.way), model)
    ways: tuple[Way, ...] = ("its file", "honest")
    return [found[recipe, way] for recipe in RECIPES for way in ways if (recipe, way) in found]


def _model_of(root: Root, run: RunSummary) -> ArticleModel | None:
    if run.imported:
        try:
            recipe = recipe_of_weights(find_checkpoint(root, f"{run.run_id}/best").path)
        except UsageError:  # deleted meanwhile
            return None
        return ArticleModel(recipe, "its file", run.run_id) if recipe else None
    recipe = recipe_of_config(run.config)
    split = run.config.get("split", {}).get("name")
    honest = recipe is not None and split == "leave_last_out" and run.state.name == "finished"
    return ArticleModel(recipe, "honest", run.run_id) if recipe and honest else None


def article_rows(models: list[ArticleModel], evaluations: list[Evaluation]) -> list[Result]:
    """One row a recipe and way: `{"recipe", "way", "run", "dataset", "protocol", "metrics"}`, published rows first.

    Metrics are hr, mrr, ndcg and duplication/window at 3, 5 and 10; published ones have no interval.
    """
    rows: list[Result] = []
    for recipe in RECIPES:
        rows.append(_published(recipe))
        for model, evaluation in zip(models, evaluations, strict=True):
            if model.recipe == recipe:
                rows.append(_measured(model, evaluation))
    return rows


def _published(recipe: str) -> Result:
    metrics: dict[str, Any] = {
        f"{name}@{k}": {"mean": value, "low": None, "high": None}
        for name in NAMES
        for k, value in zip(CUTOFFS, PUBLISHED[recipe][name], strict=True)
    }
    protocol = "random windows, most of them trained on; dropout on; window masked"
    return {"recipe": recipe, "way": "published", "run": None, "dataset": DATASET, "protocol": protocol} | {
        "metrics": metrics
    }


def _measured(model: ArticleModel, evaluation: Evaluation) -> Result:
    names = [f"{name}@{k}" for name in NAMES for k in CUTOFFS]
    summary = summarise([evaluation], list(CUTOFFS), maskings=_maskings(model.masking), names=names)
    (result,) = view(summary, model.masking, names)
    leak = "unknown: probably leaks" if evaluation.trained_on is None else f"{evaluation.trained_on} trained on"
    protocol = f"{SPLITS[model.way]}, {model.masking} masked, {len(evaluation.ranks):,} cases, {leak}"
    return {"recipe": model.recipe, "way": model.way, "run": model.run_id, "dataset": evaluation.protocol.dataset} | {
        "protocol": protocol,
        "metrics": result["metrics"],
    }


def _maskings(masking: Masking) -> tuple[Masking, ...]:
    return (masking, "none")
