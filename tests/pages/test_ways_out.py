"""What a page offers where something is in the way, followed literally: it works."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from recformer.files.names import PROJECT
from recformer.run.paths import Root
from recformer.run.record import trained_on
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import SMALL_MODEL, save_untrained, small_config, spoil, train_here

SLOW_PAGE_S = 60


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A root with one run, whose data lie outside of it, and another dataset in data/."""
    root = Root(tmp_path / "root")
    monkeypatch.setenv("RECFORMER_ROOT", str(root.path))
    train_here(root, "run", dataset_in(tmp_path / "small"), small_config())
    write_ml1m(root.data / "other", sequences(seed=1, num_users=25))
    return root


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    app.run()
    app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


PAGES = [
    ("pages/compare.py", {"runs": "run/best"}),
    ("pages/recommend.py", {"runs": "run/best"}),
    ("pages/train.py", {"mode": "Resume"}),
]


@pytest.mark.parametrize(("page", "query"), PAGES)
def test_where_data_were_moved_to_is_said_on_the_page_and_remembered(
    page: str, query: dict[str, str], root: Root, tmp_path: Path
) -> None:
    shutil.move(tmp_path / "small", tmp_path / "moved")
    app = opened(page, **query)
    assert "Say below where it is" in app.error[0].value
    field = next(field for field in app.text_input if field.label == "Folder of small on this machine")
    field.set_value(str(tmp_path / "moved")).run()
    next(button for button in app.button if button.label == "Use this folder").click().run()
    assert not app.error and not app.exception
    assert (root.data / "moved").resolve() == tmp_path / "moved"
    assert not opened(page, **query).error


def test_a_folder_of_other_data_is_refused_and_the_field_stays(root: Root, tmp_path: Path) -> None:
    shutil.move(tmp_path / "small", tmp_path / "moved")
    app = opened("pages/compare.py", runs="run/best")
    field = next(field for field in app.text_input if field.label == "Folder of small on this machine")
    field.set_value(str(root.data / "other")).run()
    next(button for button in app.button if button.label == "Use this folder").click().run()
    assert "holds other data" in app.error[1].value


def test_an_imported_model_is_told_its_data_on_the_page_and_remembers_it(root: Root, tmp_path: Path) -> None:
    shutil.move(tmp_path / "small", root.data / "small")
    save_untrained(root, "imported", dataset_in(root.data / "small"), split=None)
    app = opened("pages/compare.py", runs="imported/best")
    assert "nothing says which dataset imported/best belongs to" in app.error[0].value.replace("\\", "")
    next(box for box in app.selectbox if box.label == "Dataset of these models").set_value("small").run()
    next(button for button in app.button if button.label == "Use this dataset").click().run()
    assert not app.error and not app.exception
    origin = trained_on(root, "imported")
    assert origin is not None and origin.path == "data/small"


def test_figures_that_the_disk_does_not_keep_are_shown_with_a_word(root: Root) -> None:
    shutil.rmtree(root.run("run") / "eval")
    (root.run("run") / "eval").write_text("")
    app = opened("pages/compare.py", runs="run/best")
    assert not app.error and not app.exception
    assert "These figures are shown, but not kept" in app.warning[0].value


def test_figures_of_the_article_that_the_disk_does_not_keep_are_shown_with_a_word(root: Root, tmp_path: Path) -> None:
    recipe = small_config(model=SMALL_MODEL | {"width": 32}, batch_size=512, engine="eager")
    train_here(root, "recipe", dataset_in(tmp_path / "small"), recipe)
    shutil.rmtree(root.run("recipe") / "eval")
    (root.run("recipe") / "eval").write_text("")
    app = opened("pages/compare.py", runs="run/best", view="Article")
    assert not app.error and not app.exception
    assert "These figures are shown, but not kept" in app.warning[0].value
    assert any("trained and asked honestly" in text.value for text in app.markdown)


def test_the_only_model_asked_is_named_where_it_gives_no_numbers(root: Root) -> None:
    spoil(root, "run")
    app = opened("pages/recommend.py", runs="run/best", user="101")
    assert "run/best gives scores that are not numbers" in app.error[0].value
