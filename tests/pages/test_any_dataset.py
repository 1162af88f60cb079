"""A shop on all pages: text ids, columns of its own, no times, no ratings; no word there is MovieLens alone."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset, token_of
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.files.names import PROJECT
from recformer.run.model_ref import all_baselines, find_model
from recformer.run.paths import Root
from tests.builders import sequences, write_lines
from tests.training_helpers import json_of, run_here, small_config, train_here

SLOW_PAGE_S = 60
PARTS = ("train", "valid", "test")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A trained and evaluated model of a shop, whose customers buy by name."""
    root = Root(tmp_path)
    rows = sequences()
    folder = root.data / "shop"
    purchases = [f"customer {user}\tSKU-{item:05},x" for user, item, *_ in rows]
    write_lines(folder / "shop.inter", ["user_id:token\titem_id:token", *purchases])
    items = sorted({item for _, item, *_ in rows})
    head = "item_id:token\ttitle:token_seq\tbrand:token\tmaterial:token_seq\tprice:float"
    goods = [f"SKU-{item:05},x\tLamp {item}\t{'AB'[item % 2]}\twood steel\t{item}.5" for item in items]
    write_lines(folder / "shop.item", [head, *goods])
    people = [
        f"customer {user}\t{'north' if user % 2 else 'south'}\t{user}" for user in sorted({row[0] for row in rows})
    ]
    write_lines(folder / "shop.user", ["user_id:token\tregion:token\tvisits:float", *people])
    dataset = read(root)
    train_here(root, "one", dataset, small_config(name="one model", seed=1))
    for model in [find_model(root, "one"), *all_baselines()]:
        for part in ("validation", "test"):
            evaluate(root, model, Task(dataset, split_of("leave_last_out"), part))
    monkeypatch.setenv("RECFORMER_ROOT", str(root.path))
    return root


def read(root: Root) -> Dataset:
    return read_dataset(root.data / "shop")


def opened(page: str, **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    if page != "app.py":
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert not any("did not foresee" in error.value for error in app.error), [code.value for code in app.code]
    return app


def everything(app: AppTest) -> str:
    """All that is sent to the browser, as text."""
    return "\n".join(str(element.proto) for element in app.main if hasattr(element, "proto"))


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.metric]
    return "\n".join(f"{getattr(element, 'label', '')} {element.value}" for element in elements).replace("\\", "")


@pytest.mark.parametrize("page", ["app.py", "train", "monitor", "compare", "recommend", "data"])
def test_no_page_speaks_of_what_is_no_product(root: Root, page: str) -> None:
    query = {"runs": ["one/best"]} if page in ("compare", "recommend") else {}
    app = opened(page if page == "app.py" else f"pages/{page}.py", **query)
    said = (words(app) + everything(app)).casefold()
    # But for what may be fetched, and the article's model.
    said = re.sub(r"movielens.*|[\d,]+ movies, .*|movie_transformer", "", said)
    assert "movie" not in said


def test_recommend_shows_who_they_are_and_finds_users_by_their_columns(root: Root) -> None:
    app = opened("pages/recommend.py", runs=["one/best"], user="customer 104", find="true")
    assert "**User customer 104** · south · visits 104" in words(app)
    app.multiselect(key="find.region").set_value(["north"]).run()
    assert not app.exception
    assert app.query_params["users.region"] in ("north", ["north"])
    shown = app.dataframe[0].value["user_id"].tolist()
    assert shown == [user for user in read(root).user_ids if int(user.split()[1]) % 2]


def test_a_made_up_window_of_ids_with_commas_is_that_of_the_command_line(root: Root) -> None:
    items = ",".join(item.replace(",", "%2C") for item in read(root).item_ids[:3])
    document = json_of(run_here(root.path, "recommend", "one", "--user", "customer 104", "--items", items, "--json"))
    data = read(root)
    before = data.item_ids[data.history(token_of(data.user_ids, "customer 104"))[:-1]].tolist()
    assert document["window"] == [*before[-document["recent"] - 2 : -document["recent"]], *data.item_ids[:3]]
    app = opened("pages/recommend.py", runs=["one/best"], user="customer 104", items=items)
    assert "made up, latest first" in words(app)
    assert not app.warning


def test_compare_slices_and_diversity_are_by_the_shops_own_columns(root: Root) -> None:
    app = opened("pages/compare.py", runs=["one/best", "baseline:popularity"], view="Slices")
    there = app.selectbox(key="slice").options
    assert there == [
        "history length",
        "target popularity",
        "seen in training",
        "target brand",
        "target material",
        "region",
    ]
    app = opened("pages/compare.py", runs=["one/best", "baseline:popularity"], view="Beyond accuracy")
    assert "**Brand diversity within a list**" in words(app)
    document = json_of(run_here(root.path, "compare", "one", "--no-baselines", "--k", "10", "--format", "json"))
    names = document["results"][0]["metrics"]
    assert {"diversity/brand@10", "diversity/material@10"} <= set(names) and "diversity/genre@10" not in names


def test_data_shows_its_columns_and_finds_by_them(root: Root) -> None:
    app = opened("pages/data.py", data="shop", item="lamp 24")
    table = app.dataframe[0].value
    assert table["title"].tolist() == ["Lamp 24", "Lamp 241", "Lamp 248"]
    assert list(table.columns) == ["item_id", "title", "brand", "material", "price", "interactions"]


def test_the_split_that_data_came_with_is_offered_only_of_data_that_came_split(root: Root) -> None:
    lines = {name: [f"user {user},item {(user + place) % 9}" for user in range(20)] for place, name in enumerate(PARTS)}
    for name, rows in lines.items():
        write_lines(root.path / "came" / f"{name}.csv", ["user,item", *(row for row in rows for _ in range(2))])
    result = run_here(root.path, "data", "add", str(root.path / "came"), "--name", "split")
    assert result.returncode == 0, result.stderr
    for name, is_offered in (("shop", False), ("split", True)):
        app = opened("pages/train.py", data=name)
        assert ("as_given" in app.selectbox(key="train.fast.split").options) == is_offered
    app = opened("pages/compare.py", runs=["one/best"], split="as_given")
    assert "as_given" not in app.selectbox(key="split").options
    assert "as_given" in words(app)
