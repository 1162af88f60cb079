"""Which runs show the article's recipes, and the rows that are made of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from recformer.config import override, parse, preset
from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.article import (
    CUTOFFS,
    PUBLISHED,
    RECIPES,
    article_models,
    article_rows,
    honest_runs,
    recipe_of_config,
    recipe_of_weights,
    weights_digest,
)
from recformer.evaluation.evaluate import evaluate
from recformer.evaluation.report import render_article
from recformer.run.model_ref import find_model
from recformer.run.overview import list_runs
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import run_here, save_untrained, small_config, train_here

RECIPE_OF_PRESET = {"baseline": "baseline", "penalty": "penalty", "compiled_scheduler": "compiled-scheduler"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_in(tmp_path_factory.mktemp("data") / "small")


def config_of(name: str, *changes: str) -> dict[str, object]:
    return parse(override(preset(name), changes)).model_dump(mode="json")


@pytest.mark.parametrize("name", RECIPE_OF_PRESET)
def test_a_presets_recipe_is_known_whatever_its_epochs_and_seed(name: str) -> None:
    assert recipe_of_config(config_of(name)) == RECIPE_OF_PRESET[name]
    assert recipe_of_config(config_of(name, "num_epochs=3", "seed=7", "name=mine")) == RECIPE_OF_PRESET[name]


@pytest.mark.parametrize(
    "change", ["model.hidden_sizes=[128]", "model.width=64", "window=10", "loss=soft_penalty", "model.repeat_bias=true"]
)
def test_what_differs_in_model_loss_or_window_is_another_recipe(change: str) -> None:
    assert recipe_of_config(config_of("baseline", change)) is None


def test_other_weights_are_not_taken_for_the_articles(tmp_path: Path, dataset: Dataset) -> None:
    path = save_untrained(Root(tmp_path), "run", dataset).path
    assert len(weights_digest(path) or "") == 16
    assert recipe_of_weights(path) is None
    (tmp_path / "short").write_bytes(b"1234")
    assert weights_digest(tmp_path / "short") is None
    assert weights_digest(tmp_path / "missing") is None


def test_the_digest_is_of_the_numbers_not_of_the_record(tmp_path: Path, dataset: Dataset) -> None:
    one = save_untrained(Root(tmp_path / "a"), "one", dataset).path
    same = save_untrained(Root(tmp_path / "b"), "another-name", dataset).path
    other = save_untrained(Root(tmp_path / "c"), "one", dataset, seed=1).path
    assert one.read_bytes() != same.read_bytes()
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)


def ran(recipe: str, epochs: int, ndcg: float, data: str = "small", created: float = 0, state: str = "finished") -> Any:
    """A run of a recipe (its configuration says which, see below), as far as the choice looks at it."""
    best = {"dataset": {"name": data, "fingerprint": data}, "metrics": {"metric/ndcg@10": ndcg}}
    config = {"recipe": recipe, "num_epochs": epochs, "split": {"name": "leave_last_out"}}
    named = {"run_id": f"{recipe} {epochs} {ndcg} {data}", "created": created, "state": SimpleNamespace(name=state)}
    return SimpleNamespace(**named, config=config, best=best, checkpoints=["best"], imported=False)


def chosen(*runs: Any) -> list[str]:
    with patch("recformer.evaluation.article.recipe_of_config", side_effect=lambda config: config["recipe"]):
        return [run.run_id for run in honest_runs(list(runs)).values()]


def test_honest_rows_are_of_equal_epochs_and_of_several_the_best_by_validation() -> None:
    runs = [ran("baseline", 40, 0.1), ran("baseline", 40, 0.2), ran("penalty", 40, 0.1), ran("penalty", 80, 0.3)]
    newest = ran("baseline", 1, 0.01, created=9)
    assert chosen(*runs, newest) == ["baseline 40 0.2 small", "penalty 40 0.1 small"]


def test_honest_rows_are_of_one_dataset_that_with_most_recipes_and_then_the_articles() -> None:
    other = [ran("baseline", 5, 0.1, "mine", created=9), ran("penalty", 5, 0.1, "mine", created=9)]
    own = [ran("baseline", 5, 0.1, "ml-1m"), ran("penalty", 5, 0.1, "ml-1m")]
    assert chosen(*other, *own) == ["baseline 5 0.1 ml-1m", "penalty 5 0.1 ml-1m"]
    third = ran("compiled-scheduler", 5, 0.1, "mine")
    assert chosen(*other, *own, third) == [run.run_id for run in (*other, third)]


def test_a_recipe_without_a_run_of_those_epochs_shows_the_nearest_and_unfinished_ones_are_left_out() -> None:
    runs = [ran("baseline", 40, 0.1), ran("penalty", 40, 0.1), ran("compiled-scheduler", 60, 0.1)]
    runs += [ran("compiled-scheduler", 200, 0.9), ran("penalty", 40, 0.9, state="stopped")]
    assert chosen(*runs) == ["baseline 40 0.1 small", "penalty 40 0.1 small", "compiled-scheduler 60 0.1 small"]
    assert chosen() == []


def test_the_run_with_most_epochs_of_a_recipe_is_its_honest_row_and_the_row_says_so(
    tmp_path: Path, dataset: Dataset
) -> None:
    root = Root(tmp_path)
    train_here(root, "longer", dataset, small_config(num_epochs=2))
    train_here(root, "newer", dataset, small_config())
    train_here(root, "leaking", dataset, small_config(split="random_windows"))
    with patch("recformer.evaluation.article.recipe_of_config", return_value="penalty"):
        models = article_models(root, list_runs(root)[0])
    assert [(model.recipe, model.way, model.model.run_id) for model in models] == [("penalty", "honest", "longer")]
    evaluations = [evaluate(root, model.model, model.task(dataset)) for model in models]
    rows = article_rows(models, evaluations)
    assert [(row["recipe"], row["way"]) for row in rows] == [
        ("baseline", "published"),
        ("penalty", "published"),
        ("penalty", "honest"),
        ("compiled-scheduler", "published"),
    ]
    assert "0 trained on, 2 epochs" in rows[2]["protocol"]
    assert rows[2]["metrics"]["hr@10"]["low"] <= rows[2]["metrics"]["hr@10"]["mean"]
    text = render_article(rows, {"What": "why"}, "table")
    assert "0.2651" in text
    assert "What: why" in text


def test_published_figures_are_nested_by_k() -> None:
    for recipe in RECIPES:
        for name in ("hr", "mrr", "ndcg"):
            figures = PUBLISHED[recipe][name]
            assert len(figures) == len(CUTOFFS)
            assert list(figures) == sorted(figures)
        assert list(PUBLISHED[recipe]["duplication/window"]) == sorted(PUBLISHED[recipe]["duplication/window"])[::-1]


def test_the_article_finds_its_models_itself(tmp_path: Path) -> None:
    result = run_here(tmp_path, "compare", "some-run", "--article")
    assert result.returncode == 2
    assert "--article finds its models itself" in result.stderr
    with pytest.raises(UsageError):
        find_model(Root(tmp_path), "some-run")
    assert run_here(tmp_path, "compare").returncode == 2
