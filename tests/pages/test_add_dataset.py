"""A table is added on the Data page: the guess, its corrections, what is counted before it is left out, and removal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from recformer.data.cache import load
from recformer.files.names import PROJECT
from recformer.run.paths import Root
from tests.builders import sequences, write_ml1m
from tests.shop_files import RANGE, SALES, write_shop

SLOW_PAGE_S = 60


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path / "root"))
    yield Root(tmp_path / "root")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop")


def opened(path: Path | str) -> AppTest:
    """The Data page after a path was typed and opened."""
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S).run()
    app.switch_page("pages/data.py").run()
    app.text_input(key="data.path").set_value(str(path)).run()
    app.button(key="data.path.add").click().run()
    assert not app.exception, app.exception
    return app


def field(app: AppTest, label: str) -> Any:
    """The widget of this label."""
    kinds = (app.selectbox, app.text_input, app.number_input, app.multiselect)
    return next(widget for kind in kinds for widget in kind if widget.label == label)


def has(app: AppTest, label: str) -> bool:
    return any(widget.label == label for kind in (app.selectbox, app.number_input, app.multiselect) for widget in kind)


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def corrected(app: AppTest) -> AppTest:
    """The shop, with all that nothing tells said."""
    for label, value in (("User", "Kunde"), ("Item", "Artikelnr"), ("Rating", "Menge")):
        field(app, label).set_value(value).run()
    return app


def test_a_shop_whose_columns_nothing_tells_is_asked_about_corrected_and_added(root: Root, shop: Path) -> None:
    app = opened(shop / SALES)
    assert "nothing says which column is the user" in words(app)
    assert field(app, "User").options == ["Kunde", "Artikelnr", "Wann", "Menge"]
    assert app.dataframe[0].value.shape == (20, 4), "the first rows stand there before anything is said"
    corrected(app)
    assert not app.error
    assert field(app, "Time").value == "Wann" and field(app, "Unit of time").value == "iso"
    field(app, "Table of items").set_value(shop / RANGE).run()
    assert field(app, "Its column of ids").value == "Artikelnr"
    field(app, "Its column of titles").set_value("Bezeichnung").run()
    field(app, "An item is called").set_value("article").run()
    said = words(app)
    assert "interactions** of 30 users with 40 articles, 2025-01-0" in said
    assert "Nothing is left out." in said
    assert said.count("User K-") == 3 and "Kanne" in said
    field(app, "Name of the dataset").set_value("shop").run()
    app.button(key="adding.add").click().run()
    assert not app.error, words(app)
    dataset = load(root.data / "shop", root.data / ".cache")
    assert dataset.item_ids[0] == "000001" and dataset.title_of(0) == "Kanne 01, blau"
    assert dataset.nouns.item == "article"
    assert list(dataset.item_table) == ["item_id", "title", "Gruppe", "Marke"]
    assert (root.data / "shop" / SALES).is_symlink()
    assert "Articles" in [metric.label for metric in app.metric], "the page shows what was added"
    assert "ovie" not in "\n".join(str(element.value) for element in [*app.main.markdown, *app.metric])


def test_a_usual_table_needs_no_correction(root: Root, tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", header=("customer_id", "sku", "ordered_at", "quantity"))
    app = opened(shop / SALES)
    assert (field(app, "User").value, field(app, "Item").value) == ("customer_id", "sku")
    assert not app.error
    app.button(key="adding.add").click().run()
    assert (root.data / "verkauf" / "dataset.yaml").is_file()


def test_what_a_filter_drops_is_counted_before_it_is_dropped(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    field(app, "Lowest rating").set_value(2.0).run()
    assert "rows are below the lowest rating" in words(app)
    field(app, "Least per user").set_value(6).run()
    assert "with too few interactions" in words(app)
    assert not (root.data / "verkauf").exists(), "nothing is added before it is said"


def test_repeated_rows_are_counted_and_asked_about(root: Root, shop: Path) -> None:
    lines = (shop / SALES).read_text().splitlines(keepends=True)
    (shop / SALES).write_text("".join([*lines, *lines[1:6]]))
    app = corrected(opened(shop / SALES))
    assert "5 rows repeat user, item and time of another; they are kept" in words(app)
    field(app, "Repeated rows").set_value("first").run()
    assert "Left out: 5 rows repeat user, item and time of another; the first is kept" in words(app)


def test_a_value_that_is_none_is_told_with_its_line_and_what_was_said_stays(root: Root, shop: Path) -> None:
    path = shop / SALES
    path.write_text(path.read_text()[:-2] + "many\n")
    app = corrected(opened(path))
    (error,) = app.error
    assert "verkauf.csv, line" in error.value and "many" in error.value and "tmp-add" not in error.value
    assert field(app, "User").value == "Kunde"
    field(app, "Rating").set_value("(none)").run()
    assert not app.error
    assert "interactions** of 30 users" in words(app)


def test_a_column_that_holds_no_times_is_told(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    field(app, "Time").set_value("Kunde").run()
    assert "the column 'Kunde' is the time, but 'K-" in words(app)
    field(app, "Time").set_value("(none)").run()
    assert not app.error


def test_a_wrong_name_or_one_that_is_taken_is_told_and_nothing_is_lost(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    for name in ("../elsewhere", "Shop 1"):
        field(app, "Name of the dataset").set_value(name).run()
        app.button(key="adding.add").click().run()
        assert "is not allowed" in words(app)
    (root.data / "taken").mkdir(parents=True)
    field(app, "Name of the dataset").set_value("taken").run()
    app.button(key="adding.add").click().run()
    assert "there is a dataset taken" in words(app)
    assert field(app, "User").value == "Kunde"


def test_how_the_file_is_written_can_be_corrected(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(
        "".join(f"u{user} i{item} {1_700_000_000 + item}\n" for user in range(9) for item in range(user, 9))
    )
    app = opened(path)
    if app.error:
        field(app, "Header").set_value(False).run()
    field(app, "Separator").set_value(" ").run()
    field(app, "Header").set_value(False).run()
    assert field(app, "User").options == ["1", "2", "3"]


def test_a_path_that_is_not_there_is_told(root: Root, tmp_path: Path) -> None:
    assert "is not on this machine" in words(opened(tmp_path / "gone.csv"))


def test_giving_up_shows_the_datasets_again(root: Root, shop: Path) -> None:
    app = opened(shop / SALES)
    app.button(key="adding.cancel").click().run()
    assert not has(app, "User")
    assert "No dataset yet" in words(app)


def test_what_is_said_survives_a_look_at_another_page(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    app.switch_page("pages/train.py").run()
    app.switch_page("pages/data.py").run()
    assert field(app, "Rating").value == "Menge"


def test_a_folder_of_a_known_layout_is_linked(root: Root, tmp_path: Path) -> None:
    app = opened(write_ml1m(tmp_path / "ml", sequences()))
    assert not app.error
    assert (root.data / "ml").is_symlink()


def test_all_datasets_are_listed_with_what_they_are(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    app.button(key="adding.add").click().run()
    listed = app.dataframe[-1].value
    assert list(listed["name"]) == ["verkauf"]
    assert list(listed["what"]) == ["Table of items"], "39 of the 40 products were sold"
    assert (listed["users"][0], listed["items"][0]) == (30, 39)


def test_before_a_dataset_is_removed_it_is_said_what_stays(root: Root, shop: Path) -> None:
    app = corrected(opened(shop / SALES))
    app.button(key="adding.add").click().run()
    app.button(key="data.remove").click().run()
    assert "Its files stay where they are" in words(app)
    assert (root.data / "verkauf").exists()


def test_removing_files_that_are_nowhere_else_says_how_much_is_lost(root: Root) -> None:
    write_ml1m(root.data / "mine", sequences())
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S).run()
    app.switch_page("pages/data.py").run()
    app.button(key="data.remove").click().run()
    assert "deleted for good" in words(app)
