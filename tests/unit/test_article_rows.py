"""Which runs show the article's recipes, and the rows that are made of them."""

from pathlib import Path
from unittest.mock import patch

import pytest

from recformer.article import CUTOFFS, PUBLISHED, RECIPES, recipe_of_config, recipe_of_weights, weights_digest
from recformer.config import override, parse, preset
from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.article import article_models, article_rows
from recformer.evaluation.evaluate import evaluate
from recformer.jobs.overview import list_runs
from recformer.report import render_article
from recformer.store import Root, find_checkpoint
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


def test_the_newest_finished_run_of_a_recipe_is_its_honest_row(tmp_path: Path, dataset: Dataset) -> None:
    root = Root(tmp_path)
    for run_id in ("older", "newer"):
        train_here(root, run_id, dataset, small_config())
    train_here(root, "leaking", dataset, small_config(split="random_windows"))
    with patch("recformer.evaluation.article.recipe_of_config", return_value="penalty"):
        models = article_models(root, list_runs(root)[0])
    assert [(model.recipe, model.way, model.run_id) for model in models] == [("penalty", "honest", "newer")]
    evaluations = [evaluate(root, find_checkpoint(root, model.name), model.task(dataset)) for model in models]
    rows = article_rows(models, evaluations)
    assert [(row["recipe"], row["way"]) for row in rows] == [
        ("baseline", "published"),
        ("penalty", "published"),
        ("penalty", "honest"),
        ("compiled-scheduler", "published"),
    ]
    assert "0 trained on" in rows[2]["protocol"]
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
        find_checkpoint(Root(tmp_path), "some-run")
    assert run_here(tmp_path, "compare").returncode == 2
