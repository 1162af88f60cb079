"""Recommend in every state it can be met in, and its ways: find a user, edit a window, ask why; against the domain."""

import gc
import json
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import write_best
from recformer.data.dataset import Dataset
from recformer.errors import StoreError
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.ranks import Ranks
from recformer.files.names import PROJECT
from recformer.recommend.find_users import in_order, standing
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.builders import Movie, dataset_in, sequences, write_ml1m
from tests.training_helpers import json_of, run_here, small_config, train_here
from tests.waiting import DEADLINE_S, wait_until

PAGE = "pages/recommend.py"
SLOW_PAGE_S = 60
MODELS = ["one/best", "other/best"]
EVIL = "<img src=x onerror=alert(1)> *A* `B` :red[C]"
SHORT = 900  # a user with two movies


def catalogue() -> dict[int, Movie]:
    """Two genres in turn; one title that would like to be markup, and two movies of one name."""
    movies: dict[int, Movie] = {
        item: (f"Movie {item}", 1950 + item % 50, ["Comedy", "Drama"] if item % 2 else ["Horror"])
        for item in range(10, 284, 7)
    }
    return movies | {10: (EVIL, None, ["Horror"]), 17: ("Twins", 1988, ["Comedy"]), 24: ("Twins", 1988, ["Horror"])}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with two runs that are evaluated, one with another window, and a user of three movies."""
    root = Root(tmp_path_factory.mktemp("trained"))
    rows = [*sequences(), *((SHORT, item, 4, 978_300_000 + item) for item in (10, 17))]
    folder = write_ml1m(root.data / "small", rows, catalogue())
    users = [
        f"{user}::{'FM'[user % 2]}::{(25, 35)[user % 3 == 0]}::10::48067" for user in sorted({row[0] for row in rows})
    ]
    (folder / "users.dat").write_text("\n".join(users) + "\n")
    dataset = read(root)
    train_here(root, "one", dataset, small_config(name="one model", seed=1))
    train_here(root, "other", dataset, small_config(name="other model", seed=2, learning_rate=0.01))
    train_here(root, "wide", dataset, small_config(name="wide model", window=8))
    for run_id in ("one", "other"):
        evaluate(root, find_model(root, run_id), Task(dataset, split_of("leave_last_out"), "test"))
    return root


def read(root: Root) -> Dataset:
    from recformer.data.assemble import read_dataset

    return read_dataset(root.data / "small")


@pytest.fixture
def root(trained: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """A copy of its own, which the app looks at."""
    shutil.copytree(trained.path, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    yield Root(tmp_path)


@pytest.fixture
def dataset(root: Root) -> Dataset:
    return read(root)


def opened(*models: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    app.switch_page(PAGE)
    app.query_params["runs"] = list(models or MODELS)
    for name, value in query.items():
        app.query_params[name] = value
    return run(app)


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    assert not any("did not foresee" in error.value for error in app.error), [code.value for code in app.code]
    return app


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def columns(app: AppTest) -> list[dict[str, Any]]:
    """What the lists' component is given to draw."""
    found = [element for element in app.get("bidi_component") if element.key == "recommend.lists"]
    return json.loads(found[0].proto.json)["columns"] if found else []


def lists(app: AppTest) -> list[list[int]]:
    return [[card["id"] for card in column["cards"]] for column in columns(app)]


def link(app: AppTest) -> dict[str, list[str]]:
    """The URL's parameters. Those that Streamlit binds to a widget are written by the browser: see tests/browser."""
    values = {name: app.query_params[name] for name in app.query_params}
    return {name: [value] if isinstance(value, str) else list(value) for name, value in values.items()}


def poster_field(app: AppTest) -> Any:
    (field,) = [field for field in app.text_input if str(field.key).startswith("data.posters.")]
    return field


def by_cli(root: Root, *arguments: object) -> dict[str, Any]:
    return json_of(run_here(root.path, "recommend", *MODELS, *arguments, "--json"))


def items(document: dict[str, Any]) -> list[list[int]]:
    return [[item["item_id"] for item in model["items"]] for model in document["models"]]


def rows(app: AppTest) -> list[int]:
    """Ids of the users that the finder lists."""
    (table,) = [frame for frame in app.dataframe if "user_id" in frame.value]
    return table.value["user_id"].tolist()


def window(app: AppTest) -> list[str]:
    """Titles of the input window, latest first, by what their buttons say."""
    buttons = [button for button in app.button if str(button.key).startswith("window.remove.")]
    return [str(button.help).removeprefix("Leave out: ").replace("\\", "") for button in buttons]


# --- what the page shows of a user ---


@pytest.mark.parametrize("masking", ["none", "window", "history"])
def test_the_lists_are_those_of_the_command_line(root: Root, masking: str) -> None:
    app = opened(user="101", masking=masking, k="7")
    document = by_cli(root, "--user", 101, "--mask", masking, "--k", 7)
    assert lists(app) == items(document)
    for column, model in zip(columns(app), document["models"], strict=True):
        assert column["target"] == f"held-out movie at rank {model['target_rank']:,} of 40"
        marks = [card["mark"] and card["mark"]["kind"] for card in column["cards"]]
        assert marks == [
            "hit" if item["hit"] else "repeat" if item["repeat_window"] else "seen" if item["seen"] else None
            for item in model["items"]
        ]
        assert [card["share"] for card in column["cards"]] == [f"{100 * item['score']:.1f}%" for item in model["items"]]


def test_one_model_has_a_list_and_nothing_to_overlap_with(root: Root) -> None:
    app = opened("one/best", user="101")
    assert [column["name"] for column in columns(app)] == ["one model"]
    assert "How alike" not in words(app)
    assert not app.error


def test_columns_name_the_checkpoint_and_keep_the_runs_colours(root: Root) -> None:
    app = opened("other/best", "one/last", user="101")
    assert [(column["name"], column["checkpoint"]) for column in columns(app)] == [
        ("other model", "other · best"),
        ("one model (last)", "one · last"),
    ]
    reverse = opened("one/best", "other/best", user="101")
    assert [column["colour"] for column in columns(app)] == [column["colour"] for column in columns(reverse)][::-1]


def test_overlap_is_that_of_the_lists(root: Root) -> None:
    app = opened(user="101", k="10")
    (pair,) = by_cli(root, "--user", 101)["overlap"]
    assert f"| one model and other model | {pair['jaccard']:.2f} | {pair['rbo']:.2f} |" in words(app)


def test_masking_tells_ranks_and_what_it_takes_out(root: Root, dataset: Dataset) -> None:
    app = opened(user="101", masking="window", k="20")
    text = words(app)
    titles = dict(zip(dataset.item_ids.tolist(), dataset.item_table["title"], strict=True))
    for name, model in zip(("one model", "other model"), by_cli(root, "--user", 101, "--k", 20)["models"], strict=True):
        ranks, out = model["masking"]["target_ranks"], model["masking"]["taken_out"]
        assert f"| {name} | {ranks['none']} | **{ranks['window']}** | {ranks['history']} |" in text
        assert out["history"]
        told = next(line for line in text.splitlines() if line.startswith(f"**{name}** :gray[the window takes out]"))
        window_part, history_part = told.split("the history also")
        assert [titles[item] in window_part for item in out["window"]] == [True] * len(out["window"])
        more = [item for item in out["history"] if item not in out["window"]]
        assert [titles[item] in history_part for item in more] == [True] * len(more)


def test_the_history_is_searched_by_title_and_genre(root: Root, dataset: Dataset) -> None:
    app = opened(user="101", history="hOrRor")
    history = dataset.item_table.iloc[dataset.history(0)[:-1][::-1]]
    expected = [title for title, genres in zip(history["title"], history["genre"], strict=True) if "Horror" in genres]
    (table,) = [frame.value for frame in app.dataframe if "input" in frame.value]
    assert table["title"].tolist() == expected
    app.text_input(key="history").set_value(history["title"].iloc[2])
    (table,) = [frame.value for frame in run(app).dataframe if "input" in frame.value]
    assert table["input"].tolist() == [True]  # among the latest five


def test_titles_reach_the_browser_as_they_are_and_markdown_as_plain_text(root: Root) -> None:
    app = opened(nobody="true", items="10", masking="none", k="40")
    assert EVIL in [card["title"] for card in columns(app)[0]["cards"]]
    raw = "\n".join(str(element.value) for element in app.markdown)
    assert 0 < raw.count("<img") == raw.count("\\<img")


# --- what if, and why ---


def test_to_a_user_from_nothing_and_back_keeps_the_user_and_the_edited_window(root: Root, dataset: Dataset) -> None:
    other = str(dataset.user_ids[3])
    app = opened(user=other, items="10")
    before = (link(app), window(app), lists(app))
    app.toggle(key="nobody").set_value(True)
    assert lists(run(app)) != before[2]
    app.toggle(key="nobody").set_value(False)
    run(app)
    assert link(app)["user"] == [other] and link(app)["items"] == ["10"]
    assert (window(app), lists(app)) == before[1:]


def test_leaving_a_movie_out_changes_lists_link_and_held_out_movie(root: Root, dataset: Dataset) -> None:
    app = opened(user="101")
    own = [int(item) for item in dataset.item_ids[dataset.history(0)[-6:-1]]]
    assert "What came next" in words(app)
    app.button(key="window.remove.4").click()
    run(app)
    assert link(app)["items"] == [",".join(map(str, own[:-1]))]
    document = by_cli(root, "--user", 101, "--items", ",".join(map(str, own[:-1])))
    assert lists(app) == items(document)
    assert all(column["target"] == "" for column in columns(app))
    assert not any(
        card["mark"] and card["mark"]["kind"] == "hit" for column in columns(app) for card in column["cards"]
    )
    assert "What came next" not in words(app)
    app.button(key="window.reset").click()
    run(app)
    assert "items" not in link(app)
    assert lists(app) == items(by_cli(root, "--user", 101))


def test_moving_a_movie_back_and_forth_is_the_users_own_window_again(root: Root) -> None:
    app = opened(user="101")
    before, titles = lists(app), window(app)
    app.button(key="window.later.2").click()
    assert window(run(app)) == [titles[0], titles[2], titles[1], titles[3], titles[4]]
    assert "items" in link(app)
    app.button(key="window.earlier.3").click()
    run(app)
    assert (lists(app), window(app)) == (before, titles)
    assert "items" not in link(app)


def test_a_movie_is_added_by_its_title_and_the_others_stay(root: Root) -> None:
    app = opened(user="101")
    titles = window(app)
    search = app.selectbox(key="window.add")
    assert {"Twins (1988) · 17", "Twins (1988) · 24"} <= set(search.options)
    search.select("Twins (1988) · 24")
    run(app)
    assert window(app) == ["Twins (1988) · 24", *titles]
    assert link(app)["items"][0].endswith(",24")
    assert app.selectbox(key="window.add").value is None


def test_a_user_from_nothing_begins_empty_and_is_built_up(root: Root) -> None:
    app = opened(nobody="true")
    assert "Nothing yet" in words(app)
    assert lists(app) == items(by_cli(root, "--items", ""))
    app.selectbox(key="window.add").select("Twins (1988) · 17")
    run(app)
    app.selectbox(key="window.add").select("Twins (1988) · 24")
    run(app)
    assert link(app)["items"] == ["17,24"]
    assert lists(app) == items(by_cli(root, "--items", "17,24"))
    assert "user" not in link(app)
    assert all(column["target"] == "" for column in columns(app))


def test_a_link_shows_the_same_again(root: Root) -> None:
    app = opened(user="107", masking="window", k="6", why="24", items="17,24,31")
    again = opened(**{name: values[-1] for name, values in link(app).items() if name != "runs"})
    assert link(again) == link(app) == {
        "runs": MODELS, "user": ["107"], "masking": ["window"], "k": ["6"], "why": ["24"], "items": ["17,24,31"],
    }  # fmt: skip
    assert (columns(again), words(again)) == (columns(app), words(app))


def test_why_names_the_movie_that_speaks_for_it_most(root: Root) -> None:
    app = opened(user="101", why="31")
    text = words(app)
    assert "**Why Movie 31 (1981)?**" in text
    document = by_cli(root, "--user", 101, "--why", 31)
    for name, model in zip(("one model", "other model"), document["models"], strict=True):
        reasons = model["why"]["reasons"]
        most = max(reasons, key=lambda reason: reason["lift"])
        word = "for it most" if most["lift"] > 0 else "against it most"
        named = most if most["lift"] > 0 else min(reasons, key=lambda reason: reason["lift"])
        (line,) = [line for line in text.splitlines() if f"**{name}** ranks it {model['why']['rank']} at" in line]
        assert f"*{named['title']}* speaks {word}: without it, rank {named['rank_without']} at" in line


def test_the_bars_stand_at_their_movies_one_a_model(root: Root) -> None:
    app = opened(user="101", why="31")
    colours = [column["colour"] for column in columns(app)]
    bars = [element.proto.body for element in app.get("html") if 'class="why-bar"' in element.proto.body]
    document = by_cli(root, "--user", 101, "--why", 31)
    assert len(bars) == 5
    for place, markup in enumerate(reversed(bars)):  # the page shows the latest first
        assert [colour in markup for colour in colours] == [True, True]
        for model in document["models"]:
            rank, without = model["why"]["rank"], model["why"]["reasons"][place]["rank_without"]
            assert ("rank stays" if rank == without else f"rank {rank} → {without}") in markup


def test_another_user_takes_neither_window_nor_explanation_along(root: Root) -> None:
    app = opened(user="101", why="31", items="17,24")
    app.text_input(key="recommend.user").set_value("107")
    run(app)
    assert set(link(app)) == {"runs", "user"}
    assert "**User 107**" in words(app)


def test_a_random_user_is_in_the_link(root: Root) -> None:
    app = opened(user="101", why="31", items="17,24")
    with patch.object(random, "choice", lambda able: able[-1]):  # the last of all users, 900, has too few movies
        app.button(key="random_user").click()
        run(app)
    assert f"**User {app.text_input(key='recommend.user').value}**" in words(app)
    assert link(app)["user"] == [app.text_input(key="recommend.user").value]
    assert not {"items", "why"} & set(link(app))


def test_without_a_user_in_the_link_the_first_is_shown_and_spelt_out(root: Root) -> None:
    app = opened()
    assert link(app)["user"] == ["101"]
    assert "**User 101**" in words(app)


# --- finding a user ---


def expected_order(root: Root, dataset: Dataset, order: Any, *models: int, masking: str = "history") -> list[int]:
    task = Task(dataset, split_of("leave_last_out"), "test")
    ranks = [evaluate(root, find_model(root, name), task).ranks for name in MODELS]
    known = standing(ranks, dataset.num_users, masking, 10)  # pyright: ignore
    tokens = in_order(torch.arange(dataset.num_users).numpy(), order, known, *models)
    return dataset.user_ids[tokens].tolist()


def test_the_finder_is_shut_until_it_is_asked_for_and_lists_everybody_by_id(root: Root, dataset: Dataset) -> None:
    app = opened(user="101")
    assert not [frame for frame in app.dataframe if "user_id" in frame.value]
    app.toggle(key="find").set_value(True)
    assert rows(run(app)) == dataset.user_ids.tolist()
    assert "31 users. Click a row" in words(app)


@pytest.mark.parametrize(("order", "least"), [("disagree", 30), ("repeats", 1)])
@pytest.mark.parametrize("masking", ["none", "history"])
def test_users_are_ordered_by_what_models_do(
    root: Root, dataset: Dataset, order: str, least: int, masking: str
) -> None:
    app = opened(user="101", find="true", order=order, masking=masking)
    assert rows(app) == expected_order(root, dataset, order, masking=masking)
    assert len(rows(app)) >= least


def test_who_is_found_by_one_model_and_missed_by_another(root: Root, dataset: Dataset) -> None:
    app = opened(user="101", find="true", order="finds", finder="other/best", misser="one/best")
    there, back = expected_order(root, dataset, "finds", 1, 0), expected_order(root, dataset, "finds", 0, 1)
    assert rows(app) == there and there and there != back
    app.selectbox(key="find.finder").select("one model")
    assert rows(run(app)) == back
    assert (link(app)["finder"], link(app)["misser"]) == (["one/best"], ["other/best"])


def test_filters_are_in_the_link_only_where_they_are_set(root: Root, dataset: Dataset) -> None:
    app = opened(user="101", find="true")
    app.multiselect(key="find.gender").set_value(["F"])
    app.number_input(key="shortest").set_value(20)
    run(app)
    lengths = {int(user): len(dataset.history(token)) for token, user in enumerate(dataset.user_ids)}
    assert rows(app) == [user for user in dataset.user_ids.tolist() if user % 2 == 0 and lengths[user] >= 20]
    assert link(app)["gender"] == ["F"]
    assert not {"age", "occupation", "order"} & set(link(app))
    app.number_input(key="longest").set_value(1)
    assert "Nobody fits" in words(run(app))


def test_models_stand_in_the_table_once_their_ranks_are_there(root: Root) -> None:
    (table,) = [frame.value for frame in opened(user="101", find="true").dataframe if "user_id" in frame.value]
    assert {"overlap", "rank one/best", "repeats other/best"} <= set(table)


def test_models_whose_ranks_are_missing_are_left_out_of_the_table(root: Root) -> None:
    shutil.rmtree(root.run("other") / "eval")
    (table,) = [frame.value for frame in opened(user="101", find="true").dataframe if "user_id" in frame.value]
    assert "rank one/best" in table and "rank other/best" not in table


class Gate:
    """Lets a checkpoint be ranked only when the test says so."""

    def __init__(self, original: Callable[..., Ranks]) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self._original = original

    def __call__(
        self, model: Any, prepared: Any, cases: Any, window: int, place: Any, progress: Any, *more: Any
    ) -> Ranks:
        progress(3, len(cases))
        self.begun.set()
        assert self.released.wait(DEADLINE_S)
        return self._original(model, prepared, cases, window, place, progress, *more)


@pytest.fixture
def gate(root: Root, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    from recformer.evaluation import ranker

    shutil.rmtree(root.run("other") / "eval")
    gate = Gate(ranker.rank_cases)
    monkeypatch.setattr(ranker, "rank_cases", gate)
    yield gate
    gate.released.set()


def test_missing_ranks_are_computed_only_for_an_order_that_needs_them(root: Root, dataset: Dataset, gate: Gate) -> None:
    app = opened(user="101", find="true")
    assert not gate.begun.is_set()
    app.selectbox(key="find.order").select("The models disagree most")
    run(app)
    assert gate.begun.wait(DEADLINE_S)
    assert "**Evaluating**" in words(app)
    (bar,) = app.get("progress")
    assert bar.proto.text == "other model: 3 of 30 cases"
    assert len(lists(app)) == 2  # the page below goes on
    gate.released.set()
    wait_until(lambda: "**Evaluating**" not in words(run(app)), "the order")
    assert rows(app) == expected_order(root, dataset, "disagree")


# --- what is not there, damaged or does not fit ---


def test_without_checkpoints_the_way_to_one_is_shown(root: Root) -> None:
    shutil.rmtree(root.models)
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    app.switch_page(PAGE)
    assert "no model to ask yet" in words(run(app))


def damage(root: Root) -> None:
    path = root.model("one") / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def damage_record(root: Root) -> None:
    """As of an earlier version, whose record of the data was apart; a run with a damaged run.yaml is not offered."""
    (root.run("one") / "run.yaml").unlink()
    (root.run("one") / "config.yaml").write_text("name: one model\n")
    (root.run("one") / "origin.json").write_text("{")


def diverge(root: Root) -> None:
    model, info = load(root.model("one") / "best.safetensors")
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    write_best(root.model("one"), model, info)


def of_another_dataset(root: Root) -> None:
    path = root.model("one") / "best.safetensors"
    model, info = load(path)
    write_best(
        root.model("one"),
        model,
        read_info(path).__class__(**(vars(info) | {"dataset": {"name": "else", "fingerprint": "0"}})),
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (damage, "cut off or damaged"),
        (damage_record, "damaged"),
        (diverge, "not numbers"),
        (of_another_dataset, "was trained on else"),
    ],
)
def test_a_bad_checkpoint_is_named_and_the_others_are_shown(
    root: Root, fault: Callable[[Root], None], reason: str
) -> None:
    fault(root)
    app = opened(user="101")
    (error,) = [error.value.replace("\\", "") for error in app.error]
    assert error.startswith("one model is left out:") and reason in error
    assert "other model" in [column["name"] for column in columns(app)]


def test_where_every_checkpoint_is_bad_each_is_named(root: Root) -> None:
    damage(root)
    app = opened("one/best", user="101")
    assert len(app.error) == 1
    assert "None of these models can be asked" in words(app)
    assert columns(app) == []


def test_models_that_read_more_and_less_stand_side_by_side(root: Root, dataset: Dataset) -> None:
    app = opened("one/best", "wide/best", user="101", recent="7", why="24")
    assert not app.error
    assert [column["name"] for column in columns(app)] == ["one model", "wide model"]
    document = json_of(
        run_here(root.path, "recommend", "one", "wide", "--user", "101", "--recent", "7", "--why", "24", "--json")
    )
    assert lists(app) == items(document)
    assert len(window(app)) == len(document["window"]) == 7
    assert "The models read the latest 5 or 8" in words(app)
    assert link(app)["recent"] == ["7"]


def test_a_user_with_a_short_history_is_told_and_can_still_be_imagined(root: Root) -> None:
    app = opened(user=str(SHORT))
    assert f"user {SHORT} has 2 movies; those whose last movie is held out have 3 or more" in words(app)
    assert columns(app) == []
    app = opened(user=str(SHORT), items="10,17")
    assert len(columns(app)) == 2
    assert not app.error


@pytest.mark.parametrize("user", ["7", "nobody", "-1", "9" * 30, "1e3", "*a*"])
def test_an_unknown_user_is_told_with_the_way_out(root: Root, user: str) -> None:
    app = opened(user=user)
    assert f"There is no user {user} in small; its user ids go from 101 to 900" in words(app)
    app.button(key="first_user").click()
    assert "**User 101**" in words(run(app))
    assert not app.error


def test_unknown_movies_in_the_link_are_told_and_the_known_are_shown(root: Root) -> None:
    app = opened(user="101", items="17,9,x,24", why="8")
    told = [warning.value.replace("\\", "") for warning in app.warning]
    assert sorted(told) == [
        "In this link's window no movie has the id 9, x.",
        "No movie has the id 8, which this link wants explained.",
    ]
    assert window(app) == ["Twins (1988) · 24", "Twins (1988) · 17"]
    assert len(columns(app)) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"masking": "all"},
        {"k": "many"},
        {"k": "5000"},
        {"find": "true", "order": "worst"},
        {"find": "true", "order": "finds", "finder": "gone/best", "misser": "one/best"},
        {"find": "true", "shortest": "x", "longest": "-4", "gender": "Q"},
        {"nobody": "perhaps"},
        {"why": ""},
        {"history": "$\\"},
    ],
)
def test_unknown_parameters_leave_the_page_whole(root: Root, query: dict[str, str]) -> None:
    app = opened(user="101", **query)
    assert not app.error
    assert len(columns(app)) == 2


def test_a_parameter_that_the_page_does_not_know_is_named(root: Root) -> None:
    app = opened(user="101", usre="107")
    assert "In this link, usre means nothing to this page; all else is shown." in words(app)
    assert len(columns(app)) == 2


def test_masking_that_leaves_nothing_is_told_with_what_to_do(root: Root, tmp_path: Path) -> None:
    rows = [(user, item, 4, 978_300_000 + 10 * user + item) for user in (1, 2, 3) for item in range(7)]
    dataset = dataset_in(root.data / "tiny", rows)
    train_here(root, "tiny", dataset, small_config(name="tiny", num_epochs=1))
    app = opened("tiny/best", user="1", items="0,1", masking="history")
    assert lists(app) == [[6]]  # what was held out is a movie like any other where the window is made up
    app = opened("tiny/best", user="1", items="6", masking="history")
    assert "masking history leaves no movie to recommend; mask less" in words(app)


# --- posters ---


def test_posters_of_a_folder_are_on_the_cards_once_the_data_page_knows_it(root: Root, tmp_path: Path) -> None:
    folder = tmp_path / "posters"
    folder.mkdir()
    for item in range(10, 284, 14):
        Image.new("RGB", (200, 300)).save(folder / f"{item}.jpg")
    (folder / "38.jpg").write_bytes(b"damaged")
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    run(app.switch_page("pages/data.py"))
    poster_field(app).set_value(str(tmp_path / "nowhere"))
    assert "nowhere is neither a folder of images nor a .csv file" in words(run(app))
    poster_field(app).set_value(str(folder))
    assert "20 of 40 movies have an image" in words(run(app))
    assert not app.error
    cards = {
        card["id"]: card["poster"]
        for column in columns(opened(user="101", k="40", masking="none"))
        for card in column["cards"]
    }
    assert {item for item, poster in cards.items() if poster} == set(range(10, 284, 14)) - {38}
    assert all(poster.startswith("data:image/jpeg;base64,") for poster in cards.values() if poster)
    shutil.rmtree(folder)
    again = opened(user="101", k="40", masking="none")
    assert not again.error and len(columns(again)) == 2


def test_links_of_a_table_are_handed_to_the_browser(root: Root, tmp_path: Path) -> None:
    links = tmp_path / "links.csv"
    links.write_text("item_id,url\n24,https://example.org/24.jpg\n")
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    run(app.switch_page("pages/data.py"))
    poster_field(app).set_value(str(links))
    run(app)
    cards = {card["id"]: card["poster"] for card in columns(opened(user="101", k="40", masking="none"))[0]["cards"]}
    assert {item: poster for item, poster in cards.items() if poster} == {24: "https://example.org/24.jpg"}


# --- all users' lists ---


def made_file(app: AppTest) -> AppTest:
    """The page once the file is made; where it takes a while, a bar stands there."""
    app.button(key="recommend.all.make").click()
    run(app)

    def made() -> bool:
        run(app)
        return not app.get("progress")

    wait_until(made, "the file")
    return app


@pytest.mark.parametrize(("kind", "read"), [("Parquet", pd.read_parquet), ("CSV", pd.read_csv)])
def test_all_users_lists_are_the_file_of_the_command_line(
    root: Root, tmp_path: Path, kind: str, read: Callable[[Path], pd.DataFrame]
) -> None:
    app = opened(k="7", masking="window")
    app.selectbox(key="recommend.all.model").select("other/best")
    app.segmented_control(key="recommend.all.file").set_value(kind)
    made_file(run(app))
    assert "other model on small, 7 a user, the window filtered" in words(app)
    assert "217 rows, 31 users" in words(app)
    (button,) = [button for button in app.get("download_button") if str(button.key).startswith("recommend.all.")]
    assert button.label == f"Download lists-other.{kind.lower()}"
    made = app.session_state["recommend.all.work"].future.result()
    run_here(root.path, "recommend", "other", "--all-users", "--k", 7, "--mask", "window", "--out", tmp_path / "f.csv")
    pd.testing.assert_frame_equal(read(made.written.files[0]), pd.read_csv(tmp_path / "f.csv"), check_dtype=False)


def test_the_files_are_gone_with_who_asked_for_them(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "recformer-lists-of-an-app-that-was-killed"
    left.mkdir()
    os.utime(left, (0, 0))
    app = made_file(opened("one/best"))
    folder = app.session_state["recommend.all.work"].future.result().folder
    assert [path.name for path in folder.iterdir()] == ["lists-one.parquet"] and not left.exists()
    app = made_file(app)  # another takes its place
    gc.collect()
    assert not folder.exists()


def test_how_far_the_lists_are_stands_there_and_what_fails_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def writing(*arguments: Any) -> None:
        arguments[-1](8, 32)
        begun.set()
        assert go_on.wait(DEADLINE_S)
        raise StoreError("could not write lists: No space left on device")

    monkeypatch.setattr("recformer.recommend.all_users.write_lists", writing)
    app = opened("one/best")
    app.button(key="recommend.all.make").click()
    run(app)
    assert begun.wait(DEADLINE_S)
    run(app)
    assert [bar.value for bar in app.get("progress")] == [25]
    assert not [button for button in app.button if button.key == "recommend.all.make"]
    go_on.set()
    wait_until(lambda: not run(app).get("progress"), "the failure")
    assert "No space left on device" in words(app)
    assert app.button(key="recommend.all.make")
