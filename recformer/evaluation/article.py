"""The article this project puts right, three ways: as published, its files under its own protocol, its recipes trained
and evaluated honestly; how its files and recipes are recognised, what differs and why.

Source: Kapil Sharma, "Transformers for Recommender Systems", parts 1 and 2 (2024). The figures are facts restated.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, count
from recformer.evaluation.evaluate import Task
from recformer.evaluation.ranks import Masking
from recformer.evaluation.table import Evaluation, Result, summarise_view
from recformer.files import gate
from recformer.run.model_ref import ModelRef
from recformer.run.overview import RunSummary
from recformer.run.paths import Root

CUTOFFS = (3, 5, 10)
RECIPES = ("baseline", "penalty", "compiled-scheduler")
DATASET = "MovieLens-1M"

PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "baseline": {
        "hr": (0.1131, 0.1679, 0.2651),
        "mrr": (0.0738, 0.0870, 0.0987),
        "ndcg": (0.0839, 0.1069, 0.1374),
        "duplication/window": (0.1470, 0.1370, 0.1183),
    },
    "penalty": {
        "hr": (0.1096, 0.1612, 0.2594),
        "mrr": (0.0713, 0.0832, 0.0958),
        "ndcg": (0.0811, 0.1024, 0.1337),
        "duplication/window": (0.1431, 0.1337, 0.1154),
    },
    "compiled-scheduler": {
        "hr": (0.1126, 0.1650, 0.2659),
        "mrr": (0.0735, 0.0852, 0.0984),
        "ndcg": (0.0835, 0.1048, 0.1372),
        "duplication/window": (0.1427, 0.1329, 0.1156),
    },
}
"""Part 2's figures at k = 3, 5, 10. What it calls MAP stands under its right name, hr."""

WEIGHTS = {"bf70a6a5dfc382cb": "baseline", "0725e43b1c65dda9": "penalty", "7ebab5bc3bc907d8": "compiled-scheduler"}
"""Digest of the published weights (see `weights_digest`) to recipe."""

EXPLANATIONS = {
    "Published and its files": "Part 2 evaluated with dropout on, on a split drawn anew and unseeded, so its figures "
    "move with every run. The files in evaluation mode, on a seeded draw, come out a little higher. What the article "
    "calls MAP is the hit rate, and stands under HR here.",
    "Its files and honest training": "About 90% of the windows that the article evaluates on were trained on, and "
    "neighbouring windows share four of five tokens. Trained without the test movies and asked for each user's last "
    "one, a model has no such help. On the other side the whole history is masked, not the window alone: nobody rates "
    "a movie twice, so every movie of the history is a sure miss.",
    "Baseline and penalty": "The penalty has no gradient, so it trained nothing. The recipes differ in learning rate "
    "(5e-4 and 8e-4) and in chance.",
    "Compiled-scheduler": "Batches of 4096 in place of 512 make an eighth of the steps an epoch, and its cosine "
    "schedule climbs back up after 100 epochs.",
    "Duplication": "Read in the same way in all three: the share of the raw top k that is in the input window.",
}

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
        return Task(dataset, parse_section("split", SPLITS[self.way]), "test")


def article_models(root: Root, runs: list[RunSummary]) -> list[ArticleModel]:
    """The runs that show the article's recipes: its own files where they were imported (the newest import of each), and
    runs that were trained here and can be compared with one another, chosen by `honest_runs`."""
    imported = sorted((run for run in runs if run.imported and "best" in run.checkpoints), key=lambda run: run.created)
    refs = [ModelRef.of_run(root, run.run_id) for run in imported]
    files = {recipe: ref for ref in refs if (recipe := recipe_of_weights(ref.path))}
    honest = honest_runs(runs)
    found: list[ArticleModel] = []
    for recipe in RECIPES:
        if recipe in files:
            found.append(ArticleModel(recipe, "its file", files[recipe]))
        if run := honest.get(recipe):
            found.append(ArticleModel(recipe, "honest", ModelRef.of_run(root, run.run_id), _epochs(run)))
    return found


def honest_runs(runs: list[RunSummary]) -> dict[str, RunSummary]:
    """For each recipe the finished run under leave_last_out that its honest row is of; runs that can be compared.

    All are of one dataset: that with runs of most recipes, then the article's own, then that of the newest run. Their
    epochs are a number that most recipes there were trained for, the largest such; a recipe without such a run shows
    the one that is nearest. Of several the best by validation is taken, never the newest for being new.
    """
    known = [_honest(run) for run in sorted(runs, key=lambda run: -run.created)]
    table = pd.DataFrame([row for row in known if row])
    if table.empty:
        return {}
    datasets = table.groupby("fingerprint", sort=False)
    preferred = 2 * datasets["recipe"].nunique() + datasets["own"].first()  # of equal ones the newest is first
    alike: pd.DataFrame = table.loc[table["fingerprint"] == preferred.idxmax()]
    recipes: Any = alike.groupby("epochs")["recipe"].nunique().to_dict()
    epochs = max((count, number) for number, count in recipes.items())[1]
    ranked = alike.assign(apart=abs(alike["epochs"] - epochs), worse=-alike["validated"])
    first: Any = (
        ranked.sort_values(["apart", "worse"], kind="stable").drop_duplicates("recipe").set_index("recipe")["run"]
    )
    return {recipe: first[recipe] for recipe in RECIPES if recipe in first}


def _honest(run: RunSummary) -> dict[str, Any] | None:
    """What `honest_runs` chooses by; None for a run that is no honest one of a recipe. Records may hold anything."""
    finished = not run.imported and "best" in run.checkpoints and run.state.name == "finished"
    if not finished or run.config.get("split", {}).get("name") != "leave_last_out":
        return None
    recipe, best = recipe_of_config(run.config), run.best or {}
    if recipe is None:
        return None
    data, metrics = ({} if not isinstance(best.get(key), dict) else best[key] for key in ("dataset", "metrics"))
    validated = metrics.get("metric/ndcg@10")
    return {
        "recipe": recipe,
        "fingerprint": str(data.get("fingerprint", "")),
        "own": data.get("name") in OWN_NAMES,
        "epochs": _epochs(run),
        "validated": validated if isinstance(validated, float) and validated == validated else 0.0,
        "run": run,
    }


def _epochs(run: RunSummary) -> int:
    number = run.config.get("num_epochs")
    return number if isinstance(number, int) else 0


def article_rows(models: list[ArticleModel], evaluations: list[Evaluation]) -> list[Result]:
    """One row a recipe and way: `{"recipe", "way", "run", "dataset", "protocol", "metrics"}`, published rows first.

    Metrics are hr, mrr, ndcg and duplication/window at 3, 5 and 10; published ones have no interval.
    """
    rows: list[Result] = []
    for recipe in RECIPES:
        rows.append(_published(recipe))
        pairs = zip(models, evaluations, strict=True)
        rows += [_measured(model, evaluation) for model, evaluation in pairs if model.recipe == recipe]
    return rows


def _published(recipe: str) -> Result:
    return {
        "recipe": recipe,
        "way": "published",
        "run": None,
        "dataset": DATASET,
        "protocol": "random windows, most of them trained on; dropout on; window masked",
        "metrics": {
            f"{name}@{k}": {"mean": value, "low": None, "high": None}
            for name in NAMES
            for k, value in zip(CUTOFFS, PUBLISHED[recipe][name], strict=True)
        },
    }


def _measured(model: ArticleModel, evaluation: Evaluation) -> Result:
    (result,) = summarise_view([evaluation], model.masking, [f"{name}@{k}" for name in NAMES for k in CUTOFFS])
    trained_on = evaluation.known.trained_on
    leak = "unknown: probably leaks" if trained_on is None else f"{trained_on} trained on"
    trained = f", {count(model.epochs, 'epoch')}" if model.epochs else ""
    cases = count(len(evaluation.ranks), "case")
    return {
        "recipe": model.recipe,
        "way": model.way,
        "run": model.model.run_id,
        "dataset": evaluation.protocol.dataset,
        "protocol": f"{SPLITS[model.way]}, {model.masking} masked, {cases}, {leak}{trained}",
        "metrics": result["metrics"],
    }


def recipe_of_weights(path: Path) -> str | None:
    """The recipe whose published weights these are; None for others. `path`: a .safetensors file."""
    return WEIGHTS.get(weights_digest(path) or "")


def weights_digest(path: Path) -> str | None:
    """16 hex digits over the numbers of a .safetensors file, whatever its record says; None where it is not one."""
    try:
        with gate.open_file(path, gate.CHECKPOINT) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            file.seek(8 + length)
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except (OSError, struct.error, OverflowError, CheckpointError):
        return None


def recipe_of_config(config: dict[str, Any]) -> str | None:
    """The article's recipe that a configuration is, however many epochs and whatever its split; None for others."""
    loss = config.get("loss", {}).get("name")
    model = config.get("model", {})
    own = (model.get("width"), model.get("hidden_sizes"), bool(model.get("repeat_bias")))
    if own not in ((32, [16], False), (32, (16,), False)) or config.get("window", 5) != 5:
        return None
    if loss == "cross_entropy" and config.get("schedule") == "constant" and config.get("batch_size") == 512:
        return "baseline"
    if loss != "argmax_penalty":
        return None
    return "compiled-scheduler" if config.get("schedule") == "cosine" else "penalty"
