"""The article three ways: as published, its files under its own protocol, its recipes trained and asked honestly."""

from dataclasses import dataclass
from typing import Any, Literal

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.evaluation.article_figures import (
    CUTOFFS,
    DATASET,
    PUBLISHED,
    RECIPES,
    recipe_of_config,
    recipe_of_weights,
)
from recformer.evaluation.evaluate import Task
from recformer.evaluation.ranks import Masking
from recformer.evaluation.table import Evaluation, Result, summarise_view
from recformer.run.model_ref import ModelRef
from recformer.run.overview import RunSummary
from recformer.run.paths import Root

Way = Literal["published", "its file", "honest"]
NAMES = ("hr", "mrr", "ndcg", "duplication/window")
OWN_NAMES = ("ml-1m", DATASET)
"""What the article's dataset is called here."""
SPLITS: dict[Way, str] = {"its file": "random_windows", "honest": "leave_last_out"}
MASKINGS: dict[Way, Masking] = {"its file": "window", "honest": "history"}


@dataclass(frozen=True)
class ArticleModel:
    """A model that shows one recipe in one way."""

    recipe: str
    way: Way
    model: ModelRef
    epochs: int | None = None
    """How many it was trained for; None where nobody knows."""

    @property
    def masking(self) -> Masking:
        return MASKINGS[self.way]

    def task(self, dataset: Dataset) -> Task:
        """What it is evaluated on: the article's protocol, or the honest one."""
        return Task(dataset, parse_section("split", SPLITS[self.way]))


def article_models(root: Root, runs: list[RunSummary]) -> list[ArticleModel]:
    """The runs that show the article's recipes: its own files where they were imported (the newest import of each), and
    runs that were trained here and can be compared with one another, chosen by `honest_runs`."""
    files: dict[str, ArticleModel] = {}
    for run in sorted(
        (run for run in runs if run.imported and "best" in run.checkpoints), key=lambda run: -run.created
    ):
        model = _file_of(root, run)
        if model is not None:
            files.setdefault(model.recipe, model)
    honest = honest_runs(runs)
    found: list[ArticleModel] = []
    for recipe in RECIPES:
        found += [files[recipe]] if recipe in files else []
        run = honest.get(recipe)
        found += [ArticleModel(recipe, "honest", ModelRef.of_run(root, run.run_id), _epochs(run))] if run else []
    return found


def honest_runs(runs: list[RunSummary]) -> dict[str, RunSummary]:
    """For each recipe the finished run under leave_last_out that its honest row is of; runs that can be compared.

    All are of one dataset: that with runs of most recipes, then the article's own, then that of the newest run. Their
    epochs are a number that most recipes there were trained for, the largest such; a recipe without such a run shows
    the one that is nearest. Of several the best by validation is taken, never the newest for being new.
    """
    kinds: dict[str, list[tuple[str, RunSummary]]] = {}
    for run in sorted(runs, key=lambda run: -run.created):
        recipe = _honest_recipe(run)
        if recipe is not None:
            kinds.setdefault(_dataset(run, "fingerprint"), []).append((recipe, run))
    if not kinds:
        return {}
    alike = max(kinds.values(), key=lambda found: (len(_recipes(found)), _dataset(found[0][1], "name") in OWN_NAMES))
    shared = {
        epochs: len(_recipes([one for one in alike if _epochs(one[1]) == epochs])) for epochs in _all_epochs(alike)
    }
    epochs = max(shared, key=lambda number: (shared[number], number))
    return {
        recipe: min(
            (run for name, run in alike if name == recipe),
            key=lambda run: (abs(_epochs(run) - epochs), -_validated(run)),
        )
        for recipe in RECIPES
        if recipe in _recipes(alike)
    }


def _recipes(found: list[tuple[str, RunSummary]]) -> set[str]:
    return {recipe for recipe, _ in found}


def _all_epochs(found: list[tuple[str, RunSummary]]) -> set[int]:
    return {_epochs(run) for _, run in found}


def _epochs(run: RunSummary) -> int:
    number = run.config.get("num_epochs")
    return number if isinstance(number, int) else 0


def _dataset(run: RunSummary, name: str) -> str:
    """What the record of the best checkpoint says of its dataset."""
    known = (run.best or {}).get("dataset")
    return str(known.get(name, "")) if isinstance(known, dict) else ""


def _validated(run: RunSummary) -> float:
    metrics = (run.best or {}).get("metrics")
    value = metrics.get("metric/ndcg@10") if isinstance(metrics, dict) else None
    return value if isinstance(value, float) and value == value else 0.0


def _file_of(root: Root, run: RunSummary) -> ArticleModel | None:
    model = ModelRef.of_run(root, run.run_id)
    recipe = recipe_of_weights(model.path)
    return ArticleModel(recipe, "its file", model) if recipe else None


def _honest_recipe(run: RunSummary) -> str | None:
    split = run.config.get("split", {}).get("name")
    honest = not run.imported and "best" in run.checkpoints and run.state.name == "finished"
    return recipe_of_config(run.config) if honest and split == "leave_last_out" else None


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
    (result,) = summarise_view([evaluation], model.masking, names)
    leak = "unknown: probably leaks" if evaluation.trained_on is None else f"{evaluation.trained_on} trained on"
    trained = f", {model.epochs} epochs" if model.epochs else ""
    protocol = f"{SPLITS[model.way]}, {model.masking} masked, {len(evaluation.ranks):,} cases, {leak}{trained}"
    return {
        "recipe": model.recipe,
        "way": model.way,
        "run": model.model.run_id,
        "dataset": evaluation.protocol.dataset,
    } | {
        "protocol": protocol,
        "metrics": result["metrics"],
    }
