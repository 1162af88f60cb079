"""Lists that were made elsewhere, on every page: a dropped file becomes a row of Compare, and hides nothing elsewhere."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.evaluation.evaluate import split_of
from recformer.evaluation.lists.import_lists import Asked, import_lists
from recformer.files.names import PROJECT
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.ui.compare.views import VIEWS
from tests.builders import dataset_in, sequences, write_ml1m
from tests.list_files import Lists, table_of
from tests.pages.test_compare import run, settled
from tests.pages.test_pages import PAGES
from tests.pages.test_pages import words as shown
from tests.training_helpers import small_config, train_here

WORDS = "lists made elsewhere, up to K = 10: ranks beyond are unknown"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a dataset and a run."""
    root = Root(tmp_path_factory.mktemp("trained"))
    dataset = dataset_in(write_ml1m(root.data / "small", sequences()))
    train_here(root, "one", dataset, small_config(name="one model"))
    return root.path


@pytest.fixture
def root(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    yield Root(tmp_path)


@pytest.fixture
def dataset(root: Root) -> Dataset:
    return load(root.data / "small", root.data / ".cache")


def lists_for(dataset: Dataset, length: int = 10) -> Lists:
    """Of each user items that they did not have before, what is looked for among them."""
    draw = np.random.default_rng(3)
    found: dict[str, list[str]] = {}
    for token, user in enumerate(dataset.user_ids):
        history = dataset.history(token)
        others = np.setdiff1d(np.arange(dataset.num_items), history)
        tokens = draw.permutation([history[-1], *draw.permutation(others)[: length - 1]])
        found[str(user)] = dataset.item_ids[tokens].astype(str).tolist()
    return found


def imported(root: Root, dataset: Dataset, length: int = 10) -> None:
    path = root.path / "theirs.csv"
    table_of(lists_for(dataset, length)).to_csv(path, index=False)
    import_lists(root, path, "theirs", dataset, Asked(split_of("leave_last_out"), "test"))


def words(app: AppTest) -> str:
    """What is read on the page, without Markdown's escapes."""
    return shown(app).replace("\\", "")


def opened(page: str, **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60)
    if page != "app.py":
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    return run(app)


def compared(*runs: str, **query: str | list[str]) -> AppTest:
    return settled(opened("pages/compare.py", runs=list(runs), **query))


@pytest.mark.parametrize("page", PAGES)
def test_beside_lists_a_page_shows_no_error(root: Root, dataset: Dataset, page: str) -> None:
    imported(root, dataset)
    app = opened(page)
    assert not app.error and not app.exception


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_lists_like_any_model(root: Root, dataset: Dataset, view: str) -> None:
    imported(root, dataset)
    app = compared("theirs/lists", "one/best", part="test", view=view)
    assert not app.error
    assert "**Protocol**" in words(app)
    assert f"theirs (lists): {WORDS}" in words(app)


def test_figures_beyond_what_is_known_are_not_shown_and_that_is_said(root: Root, dataset: Dataset) -> None:
    imported(root, dataset)
    app = compared("theirs/lists", "one/best", part="test", k=["5", "20"])
    assert not app.error
    assert "Not shown: k = 20. Lists made elsewhere are known up to K = 10 here." in words(app)
    few = compared("theirs/lists", "one/best", part="test", primary="ndcg@20")
    assert len(few.error) == 1
    assert "known up to K = 10" in words(few) and "Choose a primary metric at k = 10 or less" in words(few)


def test_lists_for_another_part_are_left_out_with_the_reason(root: Root, dataset: Dataset) -> None:
    imported(root, dataset)
    app = compared("theirs/lists", "one/best")
    assert len(app.error) == 1
    assert "theirs (lists) is left out" in words(app)
    assert "they are for the test part of leave_last_out" in words(app)
    assert "has the highest NDCG@10" in words(app)


def test_a_dropped_file_becomes_a_row(root: Root, dataset: Dataset) -> None:
    app = compared("one/best", part="test")
    content = table_of(lists_for(dataset)).to_csv(index=False).encode()
    app.file_uploader(key="lists.file.0").upload("My model.csv", content)
    run(app)
    app.button(key="lists.add").click()
    app = settled(run(app))
    assert not app.error
    assert find_run(root, "my-model").checkpoints == ["lists"]
    assert "**my-model** is added. 300 rows" in words(app)
    assert app.query_params["runs"] == ["one/best", "my-model/lists"]
    assert f"my-model (lists): {WORDS}" in words(app)
    assert list((root.data / ".uploads").iterdir()) == []


def test_a_dropped_file_that_cannot_be_read_is_refused_in_one_sentence(root: Root) -> None:
    app = compared("one/best", part="test")
    app.file_uploader(key="lists.file.0").upload("theirs.csv", b"user_id,item_id,score\n101,10,high\n")
    run(app)
    app.button(key="lists.add").click()
    app = settled(run(app))
    assert len(app.error) == 1
    assert "theirs.csv, line 2: score 'high' is no number" in words(app)
    assert not root.run("theirs").exists() and list((root.data / ".uploads").iterdir()) == []


def test_recommend_shows_their_list_beside_the_others_and_says_that_nobody_can_be_asked(
    root: Root, dataset: Dataset
) -> None:
    imported(root, dataset)
    user, items = next(iter(lists_for(dataset).items()))
    app = opened("pages/recommend.py", runs=["one/best", "theirs/lists"], user=user, masking="none")
    assert not app.error and not app.exception
    sent = json.loads(app.get("bidi_component")[0].proto.json)
    theirs = sent["columns"][1]
    assert [str(card["id"]) for card in theirs["cards"]] == list(items)
    assert {card["share"] for card in theirs["cards"]} == {""}
    place = items.index(str(dataset.item_ids[dataset.history(0)[-1]])) + 1
    assert theirs["target"] == f"held-out movie at rank {place} of {dataset.num_items}"
    assert "theirs (lists)** is a list made elsewhere: there is no model to ask why, or what if." in words(app)


def test_what_if_leaves_lists_out_with_the_reason(root: Root, dataset: Dataset) -> None:
    imported(root, dataset)
    app = opened("pages/recommend.py", runs=["one/best", "theirs/lists"], user="101", items="10,17")
    assert "theirs (lists) is left out: theirs is a list made elsewhere" in words(app)


def test_lists_alone_are_shown(root: Root, dataset: Dataset) -> None:
    imported(root, dataset)
    app = opened("pages/recommend.py", runs=["theirs/lists"], user="101")
    assert not app.error and not app.exception
    assert "Lists made elsewhere do not change with these." in words(app)
    assert "Lists made elsewhere are in a file already." in words(app)


def test_the_user_finder_knows_lists(root: Root, dataset: Dataset) -> None:
    imported(root, dataset)
    query = {"runs": ["one/best", "theirs/lists"], "find": "true", "order": "finds"}
    query |= {"finder": "one/best", "misser": "theirs/lists", "k": "3"}
    app = settled(opened("pages/recommend.py", **query))
    assert not app.error and not app.exception
