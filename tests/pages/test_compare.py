"""Compare in every state it can be met in: what is picked, what cannot be shown, each view, and its numbers."""

import base64
import json
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from recformer.checkpoint.load import read_info
from recformer.data.cache import load as load_dataset
from recformer.errors import EvaluationError
from recformer.evaluation.compare import compare
from recformer.evaluation.evaluate import Task, pending, split_of
from recformer.evaluation.ranks import Masking, Ranks
from recformer.evaluation.significance import Settings
from recformer.files.names import PROJECT
from recformer.registry import BASELINES
from recformer.run.labels import rename
from recformer.run.model_ref import find_model
from recformer.run.overview import RunSummary, list_runs
from recformer.run.paths import Root
from recformer.training.import_run import adopt
from recformer.ui.compare.views import VIEWS
from recformer.ui.shared import run_views
from recformer.ui.shared.palette import run_colours
from tests.builders import Interaction, dataset_in
from tests.training_helpers import json_of, run_here, small_config, spoil, train_here
from tests.waiting import DEADLINE_S, wait_until

PAGE = "pages/compare.py"
SLOW_PAGE_S = 60
KS = (3, 5, 10)
LABELS = {"one": "one model", "other": "other model", "twin": "twin model", "wide": "wide model", "bare": "bare"}
LABELS |= {f"baseline:{name}": BASELINES.get(name).TITLE for name in BASELINES.names()}


def rounds(num_users: int = 60, num_items: int = 40) -> list[Interaction]:
    """Histories that go round the catalogue in one order: a Markov chain is right every time, popularity is not."""
    draw = random.Random(0)
    rows: list[Interaction] = []
    for user in range(num_users):
        begin, length = draw.randrange(num_items), draw.randint(14, 24)
        for place in range(length):
            item = 10 + 7 * ((begin + 3 * place) % num_items)
            rows.append((101 + user, item, 4, 978_300_000 + 10_000 * user + 100 * place))
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with runs of one recipe and two seeds, of another recipe, with another window, and an imported one.

    What has one window is evaluated; the rest is left to the page.
    """
    root = Root(tmp_path_factory.mktemp("trained"))
    dataset = dataset_in(root.data / "small", rounds())
    changes: dict[str, dict[str, Any]] = {
        "one": {"seed": 1},
        "twin": {"seed": 2},
        "other": {"learning_rate": 0.02, "num_epochs": 4},
        "wide": {"window": 8},
    }
    for run_id, change in changes.items():
        train_here(root, run_id, dataset, small_config(name=LABELS[run_id], **change))
    weights = shutil.copy(root.model("other") / "best.safetensors", root.path / "bare.safetensors")
    adopt(root, Path(weights), "bare", [], dataset, {"num_heads": 2})
    json_of(compared_there(root, "one", "other", "twin", "bare", *(f"baseline:{name}" for name in BASELINES.names())))
    return root


@pytest.fixture
def root(trained: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """A copy of its own, which the app looks at."""
    shutil.copytree(trained.path, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    yield Root(tmp_path)


def compared_there(root: Root, *arguments: str) -> Any:
    """The same comparison by the command line."""
    data = ["--data", str(root.data / "small")] if all(":" in name for name in arguments[:2]) else []
    return run_here(root.path, "compare", *arguments, *data, "--no-baselines", "--format", "json")


def begun(*names: str, **query: str | list[str]) -> AppTest:
    """The page with these models, as it is at first: the evaluation may be under way."""
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    app.switch_page(PAGE)
    if names:
        app.query_params["runs"] = [name if ":" in name else f"{name}/best" for name in names]
    for name, value in query.items():
        app.query_params[name] = value
    return run(app)


def compared(*names: str, **query: str | list[str]) -> AppTest:
    """The page with these models, once it has them."""
    return settled(begun(*names, **query))


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    assert not any("did not foresee" in error.value for error in app.error), [code.value for code in app.code]
    return app


def settled(app: AppTest) -> AppTest:
    """The page when nothing is evaluated any more: a busy machine takes longer than the page waits for."""
    wait_until(lambda: "**Evaluating**" not in words(run(app)) if "**Evaluating**" in words(app) else True, "the table")
    return app


def words(app: AppTest) -> str:
    """Everything a person reads on the page, without what keeps names from being read as markup."""
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def errors(app: AppTest) -> list[str]:
    return [error.value.replace("\\", "") for error in app.error]


@dataclass(frozen=True)
class Cell:
    """What a cell of a table says: mean, half of its interval, difference, stars or a dagger."""

    mean: str
    spread: str | None
    difference: str | None
    mark: str


def read(text: str) -> Cell:
    mean = re.match(r"\**(\d+\.\d{4})", text)
    assert mean, text
    spread = re.search(r"±(\d+\.\d{3})", text)
    difference = re.search(r"\(([+−]\d+\.\d{4})((?:\\\*|†)*)", text)
    return Cell(
        mean[1],
        spread[1] if spread else None,
        difference[1].replace("−", "-") if difference else None,
        difference[2].replace("\\", "") if difference else "",
    )


def rows_of(table: str) -> dict[str, list[str]]:
    """Cells of each row, by its label."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]
    return {label_in(cells[0]): cells[1:] for cells in lines}


def label_in(head: str) -> str:
    """The name in a row's head, without its mark and its small print."""
    return re.sub(r"<span[^>]*>.</span> ", "", head).split("<br>")[0].replace("\\", "")


def tables(app: AppTest) -> dict[str, dict[str, list[Cell]]]:
    """The tables of a view: by the title above it, then by model, one cell a cutoff."""
    found: dict[str, dict[str, list[Cell]]] = {}
    title = ""
    for element in app.markdown:
        value = str(element.value)
        if re.match(r"\| [^|]*\| @", value):
            found[title] = {label: [read(cell) for cell in cells] for label, cells in rows_of(value).items()}
        elif value.startswith("**"):
            title = value.strip("*")
    return found


def expected(
    root: Root,
    names: list[str],
    view: dict[str, str],
    masking: Masking,
    reference: str | None = None,
    recent: int = 5,
    joined: bool = True,
) -> dict[str, dict[str, list[Cell]]]:
    """The tables a view must show, `view` being metric to title: means, intervals and differences from what the command
    line prints, and marks from the differences that this view alone shows."""
    asked = ["--recent", str(recent), *([] if reference is None else ["--baseline", reference])]
    asked += [] if joined else ["--no-join-seeds"]
    summary = json_of(compared_there(root, *names, *asked))
    results = {
        name: {r["run"]: r["metrics"] | r["catalogue"] for r in summary["results"] if r["masking"] == name}
        for name in (masking, "none")
    }
    models = [find_model(root, name) for name in names]
    task = Task(load_dataset(root.data / "small", root.data / ".cache"), split_of("leave_last_out"), recent=recent)
    alone = compare(root, models, task, find_model(root, reference or names[0]), seeds_joined=joined)
    shown = {r["run"]: r["metrics"] for r in alone.results(masking, [f"{m}@{k}" for m in view for k in KS])}

    def cell(run: str, metric: str, k: int) -> Cell:
        found = results["none" if metric.startswith("duplication/") else masking][run][f"{metric}@{k}"]
        difference = found.get("difference")
        if "value" in found:
            return Cell(f"{found['value']:.4f}", None, None if difference is None else f"{difference:+.4f}", "")
        mark = ""
        if difference is not None:
            tested = shown[run][f"{metric}@{k}"]["difference"]
            if (metric, k) == ("ndcg", 10):
                assert tested["p_adjusted"] == difference["p_adjusted"], "one family, wherever it is shown"
            level = sum(tested["p_adjusted"] < level for level in (0.05, 0.01, 0.001))
            mark = "*" * level if difference["about"] == "recipes" else "†" * (level > 0)
        return Cell(
            f"{found['mean']:.4f}",
            None if found["low"] is None else f"{(found['high'] - found['low']) / 2:.3f}",  # novelty, alike for all
            None if difference is None else f"{difference['mean']:+.4f}",
            mark,
        )

    return {
        title: {LABELS[run]: [cell(run, metric, k) for k in KS] for run in results[masking]}
        for metric, title in view.items()
    }


def marks_of(found: dict[str, dict[str, list[Cell]]]) -> set[str]:
    return {cell.mark for table in found.values() for cells in table.values() for cell in cells}


RANKING = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "hr": "HR"}
DUPLICATION = {
    "duplication/window": "Duplication in the input window",
    "duplication/history": "Duplication in the whole history",
}
BEYOND = {
    "novelty": "Novelty (bits)",
    "popularity": "Average popularity",
    "diversity/genre": "Genre diversity within a list",
    "coverage": "Catalogue coverage",
    "gini": "Gini coefficient",
}


@pytest.mark.parametrize("masking", ["history", "window", "none"])
@pytest.mark.parametrize(
    ("name", "view"), [("Ranking", RANKING), ("Duplication", DUPLICATION), ("Beyond accuracy", BEYOND)]
)
def test_the_tables_show_the_numbers_and_stars_of_the_command_line(
    root: Root, name: str, view: dict[str, str], masking: Masking
) -> None:
    names = ["one", "other", "baseline:markov", "baseline:popularity"]
    app = compared(*names, view=name, masking=masking)
    wanted = expected(root, names, view, masking)
    assert tables(app) == wanted
    assert marks_of(wanted) == {"", "†"}, "what was trained with one seed has no star"


def test_baselines_against_each_other_have_stars_for_no_seed_has_a_say(root: Root) -> None:
    names = ["baseline:popularity", "baseline:markov", "baseline:item_knn"]
    app = compared(*names)
    wanted = expected(root, names, RANKING, "history", "baseline:popularity")
    assert tables(app) == wanted
    assert "***" in marks_of(wanted) and "†" not in marks_of(wanted)
    assert "trained with one seed" not in words(app)


def test_a_clear_difference_of_one_seed_is_said_to_be_one_of_these_models(root: Root) -> None:
    told = "one model and other model were trained with one seed: another seed may differ."
    app = compared("one", "other", "baseline:markov")
    assert "†" in marks_of(tables(app)) and "*" not in "".join(marks_of(tables(app)))
    assert told in words(app)
    said = run_here(root.path, "compare", "one", "other", "baseline:markov").stdout
    assert told in said
    assert "]†" in said and "]*" not in said


def test_several_seeds_may_have_stars_and_are_corrected_by_holm(root: Root) -> None:
    names = ["baseline:markov", "one", "twin"]
    (_, joined) = json_of(compared_there(root, *names, "--join-seeds"))["results"][2::3]
    entry = joined["metrics"]["ndcg@10"]["difference"]
    assert (joined["seeds"], entry["about"], entry["correction"]) == (2, "recipes", "Holm")
    assert entry["freedom"] < 60
    app = compared(*names)
    assert "NDCG@10 is primary: one difference" in words(app)
    cell = tables(app)["NDCG"]["one model (2 seeds)"][KS.index(10)]
    assert cell.mark == "*" * sum(entry["p_adjusted"] < level for level in (0.05, 0.01, 0.001))
    assert cell.difference == f"{entry['mean']:+.4f}"
    assert "†" not in marks_of(tables(app))
    app.toggle(key="join_seeds").set_value(False)
    assert marks_of(tables(run(app))) <= {"", "†"}


def test_where_all_was_seen_in_training_grouping_by_that_says_nothing(root: Root) -> None:
    app = compared("one", "baseline:markov", view="Slices", slice="seen in training")
    assert not app.error
    assert "By seen in training there are no groups here" in words(app)


def test_where_much_is_new_warm_and_cold_cases_stand_apart_in_the_first_view(root: Root) -> None:
    options = ("--split", "global_temporal", "--no-baselines")
    summary = json_of(compared_there(root, "one", "baseline:markov", *options))
    app = compared("one", "baseline:markov", split="global_temporal")
    assert "warm and cold cases apart" in words(app)
    (table,) = (str(element.value) for element in app.markdown if str(element.value).startswith("|  | cases |"))
    assert {label.strip("]") for label in rows_of(table.replace(":gray[", ""))} == {
        entry["label"] for entry in summary["slices"]
    }
    assert "warm and cold" not in words(compared("one", "baseline:markov"))


def test_another_reference_changes_the_differences_and_leaves_the_means(root: Root) -> None:
    names = ["one", "other", "baseline:markov"]
    app = compared(*names, baseline="baseline:markov")
    assert tables(app) == expected(root, names, RANKING, "history", "baseline:markov")
    assert all(cell.difference is None for cell in tables(app)["NDCG"][LABELS["baseline:markov"]])
    assert "Markov chain has the highest NDCG@10" in words(app).replace("*", "")
    assert "clearly above all others" in words(app)


def test_the_slices_are_those_of_the_command_line(root: Root) -> None:
    app = compared("one", "baseline:markov", view="Slices")
    summary = json_of(compared_there(root, "one", "baseline:markov", "--slices"))
    (table,) = (str(element.value) for element in app.markdown if str(element.value).startswith("|  | cases |"))
    wanted = [entry for entry in summary["slices"] if entry["dimension"] == "history length"]
    assert len(wanted) > 1
    shown = rows_of(table.replace(":gray[", ""))
    assert list(shown) == [entry["label"] + "]" * entry["few"] for entry in wanted]
    for entry, cells in zip(wanted, shown.values(), strict=True):
        assert cells[0].strip("]") == f"{entry['cases']:,}"
        for cell, model in zip(cells[1:], entry["models"], strict=True):
            assert cell.startswith(f"{model['mean']:.4f} :small[{model['low']:.3f} to {model['high']:.3f}]")


STATES: dict[str, list[str]] = {
    "one model": ["one"],
    "several models": ["one", "other", "twin"],
    "a baseline beside a run": ["baseline:item_knn", "one"],
    "an imported run": ["bare", "one"],
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_named_in_the_url_is_shown_and_fails_in_no_state(root: Root, view: str, state: str) -> None:
    app = compared(*STATES[state], view=view)
    assert not app.error
    assert app.query_params.get("view", "Ranking") == view  # the default need not be spelt out
    assert "has the highest NDCG@10" in words(app)
    assert "**Protocol**" in words(app)
    marks = {
        "Ranking": "**NDCG**",
        "Duplication": "**Duplication in the input window**",
        "Beyond accuracy": "**Novelty (bits)**",
        "Slices": "|  | cases |",
        "Loss curves": "Losses of runs with different loss functions",
        "Penalties": "Eight items",
        "Users": "held-out movies" if len(STATES[state]) > 1 else "Pick a second model",
    }
    assert {name for name, mark in marks.items() if mark in words(app)} == ({view} & set(marks))


def test_with_nothing_picked_the_page_asks_for_a_model(root: Root) -> None:
    app = compared("one")
    app.multiselect(key="compare.runs").set_value([])
    run(app)
    assert "Pick one or more models above" in words(app)
    assert not app.error
    assert tables(app) == {}
    app.multiselect(key="compare.runs").set_value(["one/best", "baseline:popularity"])
    run(app)
    assert set(tables(settled(app))["NDCG"]) == {"one model", "Popularity"}
    assert app.query_params["runs"] == ["one/best", "baseline:popularity"]


def test_baselines_alone_are_counted_from_the_only_dataset_there_is(root: Root) -> None:
    app = compared("baseline:popularity", "baseline:markov")
    assert not app.error
    assert list(tables(app)["NDCG"]) == ["Popularity", "Markov chain"]


def test_baselines_alone_ask_for_a_run_where_there_are_several_datasets(root: Root) -> None:
    dataset_in(root.data / "another", rounds(num_users=30))
    app = compared("baseline:popularity", "baseline:markov")
    (error,) = errors(app)
    assert "add a run" in error
    assert tables(app) == {}


def test_a_baseline_may_be_picked_before_the_run(root: Root) -> None:
    app = compared("baseline:markov", "one")
    assert not app.error
    assert list(tables(app)["NDCG"]) == ["Markov chain", "one model"]


def test_of_an_imported_run_nobody_knows_what_it_was_trained_on_and_the_page_says_so(root: Root) -> None:
    app = compared("bare", "one")
    (warning,) = app.warning
    expected = "bare: unknown, since nothing says what it or what it began with was trained on; it probably leaks"
    assert expected in warning.value.replace("\\", "")
    assert "Trained on these cases:] bare unknown; one model 0" in words(app)
    assert "Chosen on these cases:] bare unknown; one model 60" in words(app)
    assert "one model has the highest NDCG@10 of the models that count" in words(app).replace("*", "")
    assert "reference · best" in row_of(app, "one model") and "reference" not in row_of(app, "bare")
    chosen = compared("bare", "one", baseline="bare/best")
    assert "reference · best" in row_of(chosen, "bare"), "who asks for it gets it"


def row_of(app: AppTest, model: str) -> str:
    """What stands at the head of a model's row."""
    return next(line for line in words(app).splitlines() if line.startswith("|") and f"</span> {model}<br>" in line)


def test_of_a_run_that_began_with_what_saw_the_test_the_page_says_how_much(root: Root) -> None:
    dataset = dataset_in(root.data / "small", rounds())
    train_here(root, "leaking", dataset, small_config(name="leaking", split="random_windows"))
    train_here(root, "honest", dataset, small_config(name="honest", seed=9), init_from="leaking/best")
    app = compared("honest", "one", part="test")
    assert app.toggle == [], "seeds of one recipe are not what began with other weights"
    document = json_of(compared_there(root, "honest", "one", "--join-seeds", "--part", "test"))
    known = document["results"][0]
    assert known["seeds"] == 1
    assert 0 < known["trained_on"] < known["cases"] and known["validated_on"] > 0
    (warning,) = app.warning
    told = warning.value.replace("\\", "")
    assert f"honest: {known['trained_on']} of {known['cases']} cases. Such values flatter the model." in told
    assert f"was chosen on what it is evaluated on: honest: {known['validated_on']} of {known['cases']} cases" in told
    assert f"Trained on these cases:] honest {known['trained_on']}; one model 0" in words(app)
    for sentence in document["conclusion"]["sentences"]:
        assert sentence.replace("one/best", "one model").replace("honest/best", "honest") in words(app).replace("*", "")
    assert sentence == "On the test part, where 2 checkpoints were looked at so far."
    assert "one model has the highest NDCG@10 of the models that count" in words(app).replace("*", "")


def test_the_page_says_which_settings_validation_chose_for_a_baseline(root: Root) -> None:
    app = compared("one", "baseline:item_knn", "baseline:markov")
    results = json_of(compared_there(root, "one", "baseline:item_knn"))["results"]
    settings = next(result["settings"] for result in results if result["run"] == "baseline:item_knn")
    told = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    assert told and f"Settings chosen on validation:] Item kNN {told}" in words(app)
    assert "Settings chosen" not in words(compared("one", "baseline:markov"))


def test_a_damaged_file_is_named_and_the_others_are_shown(root: Root) -> None:
    path = root.model("other") / "best.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    app = compared("one", "other", "baseline:markov")
    (error,) = errors(app)
    assert error.startswith("other model is left out:")
    assert "best.safetensors" in error
    assert set(tables(app)["NDCG"]) == {"one model", "Markov chain"}


def test_a_model_whose_evaluation_fails_is_named_and_the_others_are_shown(root: Root) -> None:
    spoil(root, "other")
    app = compared("other", "one", "baseline:markov")
    (error,) = errors(app)
    assert error.startswith("other model is left out:")
    assert "not numbers" in error
    assert set(tables(app)["NDCG"]) == {"one model", "Markov chain"}


def test_where_no_model_can_be_evaluated_each_is_named(root: Root) -> None:
    spoil(root, "one")
    (root.model("other") / "best.safetensors").write_bytes(b"nothing")
    app = compared("one", "other")
    assert sorted(error.split(" is left out")[0] for error in errors(app)) == ["one model", "other model"]
    assert tables(app) == {}


@pytest.mark.parametrize("recent", [5, 8, 2])
def test_models_that_read_more_and_less_stand_in_one_table_whatever_counts_as_the_window(
    root: Root, recent: int
) -> None:
    names = ["one", "wide", "baseline:markov"]
    app = compared(*names)
    if recent != 5:
        app.number_input(key="recent").set_value(recent)
        settled(run(app))
    assert not app.error
    assert tables(app) == expected(root, names, RANKING, "history", recent=recent)
    assert f"window of {recent}" in words(app)


def test_a_link_made_when_the_window_was_the_models_own_says_what_counts_as_the_window(root: Root) -> None:
    assert "window of 8" in words(compared("one", "wide", recent="8"))
    app = compared("one", "wide", window="8")
    assert not app.error
    assert "window" not in app.query_params
    assert app.number_input(key="recent").value == 8
    assert "window of 8" in words(app)
    assert list(tables(app)["NDCG"]) == ["one model", "wide model"]


@pytest.mark.parametrize("window", ["many", "0", "-3", "5.5", ""])
def test_a_window_in_the_url_that_is_no_size_is_ignored(root: Root, window: str) -> None:
    app = compared("one", window=window)
    assert not app.error
    assert "window of 5" in words(app)


def test_seeds_of_one_recipe_are_one_model_until_the_toggle_parts_them(root: Root) -> None:
    names = ["one", "twin", "other"]
    app = compared(*names)
    joined = json_of(compared_there(root, *names, "--join-seeds"))
    shown = tables(app)["NDCG"]
    assert list(shown) == ["one model (2 seeds)", "other model"]
    result = next(r for r in joined["results"] if r["run"] == "one" and r["masking"] == "history")
    assert [cell.mean for cell in shown["one model (2 seeds)"]] == [
        f"{result['metrics'][f'ndcg@{k}']['mean']:.4f}" for k in KS
    ]
    seeds = result["metrics"]["ndcg@10"]["seeds"]
    assert f"seeds {seeds['low']:.4f} to {seeds['high']:.4f}" in words(app)
    app.toggle(key="join_seeds").set_value(False)
    run(app)
    assert tables(app) == expected(root, names, RANKING, "history", joined=False)


def test_runs_of_different_recipes_offer_no_toggle(root: Root) -> None:
    assert [toggle.key for toggle in compared("one", "other").toggle] == []


def test_unknown_names_in_the_url_are_told_and_the_known_are_shown(root: Root) -> None:
    app = compared("one", "gone", "baseline:oracle", view="Nothing", baseline="gone/best")
    told = [warning.value.replace("\\", "") for warning in app.warning]
    assert any("gone/best, baseline:oracle" in text for text in told)
    assert not app.error
    assert list(tables(app)["NDCG"]) == ["one model"]


class Gate:
    """Lets a baseline be ranked only when the test says so, and counts how often it was asked for."""

    def __init__(self, original: Callable[..., tuple[Ranks, Settings]]) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self.times = 0
        self.error: EvaluationError | None = None
        self._original = original

    def __call__(self, name: str, prepared: Any, cases: Any, progress: Any, recent: int) -> tuple[Ranks, Settings]:
        self.times += 1
        progress(7, len(cases))
        self.begun.set()
        assert self.released.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        return self._original(name, prepared, cases, progress, recent)


@pytest.fixture
def gate(root: Root, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Nothing of a baseline is stored, and ranking one takes until the gate opens."""
    from recformer.evaluation import evaluate

    shutil.rmtree(root.runs / ".baselines")
    gate = Gate(evaluate.rank_baseline)
    monkeypatch.setattr(evaluate, "rank_baseline", gate)
    yield gate
    gate.released.set()


def test_a_slow_evaluation_shows_how_far_it_is_and_then_the_table(root: Root, gate: Gate) -> None:
    app = begun("one", "baseline:markov")
    assert gate.begun.is_set()
    assert "**Evaluating**" in words(app)
    assert tables(app) == {}
    (bar,) = app.get("progress")
    assert bar.proto.text == "Markov chain: 7 of 60 cases"
    gate.released.set()
    assert set(tables(settled(app))["NDCG"]) == {"one model", "Markov chain"}
    assert gate.times == 1


def test_an_evaluation_goes_on_when_the_page_is_left_and_is_there_on_coming_back(root: Root, gate: Gate) -> None:
    app = begun("one", "baseline:markov")
    assert "**Evaluating**" in words(app)
    run(app.switch_page("pages/data.py"))
    assert "**Evaluating**" not in words(app)
    gate.released.set()
    stored = root.runs / ".baselines"
    wait_until(lambda: len(list(stored.glob("markov-*.json"))) == 1, "the ranks on disk")
    app = compared("one", "baseline:markov")
    assert set(tables(app)["NDCG"]) == {"one model", "Markov chain"}
    assert gate.times == 1


def test_two_who_look_at_one_evaluation_have_it_computed_once(root: Root, gate: Gate) -> None:
    one, other = begun("one", "baseline:markov"), begun("other", "baseline:markov")
    assert "**Evaluating**" in words(one) and "**Evaluating**" in words(other)
    gate.released.set()
    assert set(tables(settled(one))["NDCG"]) == {"one model", "Markov chain"}
    assert set(tables(settled(other))["NDCG"]) == {"other model", "Markov chain"}
    assert gate.times == 1


def test_k_and_metrics_are_chosen_and_kept_in_the_link(root: Root) -> None:
    names = ["one", "other"]
    app = compared(*names)
    assert "k" not in app.query_params and "metrics" not in app.query_params  # the usual ones go without saying
    app.multiselect(key="compare.k").set_value(["20", "1"])
    app.multiselect(key="compare.metrics").set_value(["HR", "NDCG"])
    run(app)
    assert app.query_params["k"] == ["20", "1"] and app.query_params["metrics"] == ["hr", "ndcg"]
    again = compared(*names, k=["20", "1"], metrics=["hr", "ndcg"])
    assert tables(again) == tables(app)
    assert list(tables(app)) == ["NDCG", "HR"]
    summary = json_of(compared_there(root, *names, "--k", "1,10,20"))
    means = {r["run"]: r["metrics"] for r in summary["results"] if r["masking"] == "history"}
    for title, metric in {"NDCG": "ndcg", "HR": "hr"}.items():
        for name in names:
            shown = [cell.mean for cell in tables(app)[title][LABELS[name]]]
            assert shown == [f"{means[name][f'{metric}@{k}']['mean']:.4f}" for k in (1, 10, 20)]
    assert "has the highest NDCG@10" in words(app)  # what decides is always shown


def test_each_row_names_checkpoint_and_commit(root: Root) -> None:
    app = compared("one", "baseline:markov")
    commit = read_info(root.model("one") / "best.safetensors").commit
    table = next(
        str(element.value)
        for element in app.markdown
        if str(element.value).startswith(("|  | @", "| :gray[:small[exploratory]] | @"))
    )
    one, markov = table.splitlines()[2:]
    assert f"reference · best · {commit[:7] or 'commit unknown'}]]" in one
    assert "counted, not trained]]" in markov


def test_names_that_look_like_markup_stay_text(root: Root) -> None:
    rename(root, "one", "<script>alert(1)</script> **bold** | cell")
    app = compared("one", "baseline:markov")
    table = next(
        str(element.value)
        for element in app.markdown
        if str(element.value).startswith(("|  | @", "| :gray[:small[exploratory]] | @"))
    )
    assert r"\<script\>alert(1)\</script\> \*\*bold\*\* \| cell" in table


def test_unknown_parameters_of_the_link_are_named(root: Root) -> None:
    app = compared("one", metric="ndcg", masking="history")
    assert any("In this link, metric means nothing" in warning.value for warning in app.warning)
    assert set(tables(app)["NDCG"]) == {"one model"}


def test_all_keep_their_colour_and_shape_and_the_reference_has_an_outline(root: Root) -> None:
    app = compared("one", "other", "baseline:markov")
    traces = charts(app)["NDCG@k"]["data"]
    own = run_colours(list_runs(root)[0])
    assert traces[0]["marker"]["color"] == own["one"]
    assert [trace["marker"]["line"]["width"] > 0 for trace in traces] == [True, False, False]
    assert (
        len({trace["marker"]["color"] for trace in traces}) == len({trace["marker"]["symbol"] for trace in traces}) == 3
    )
    alone = charts(compared("one"))["NDCG@k"]["data"]
    for name in ("color", "symbol"):
        assert alone[0]["marker"][name] == traces[0]["marker"][name]
    assert alone[0]["marker"]["line"]["width"] == 0


def charts(app: AppTest) -> dict[str, Any]:
    """The charts of the page by their titles."""
    figures = [json.loads(json.loads(chart.proto.json)) for chart in app.get("bidi_component")]
    return {figure["layout"]["title"]["text"]: figure for figure in figures}


def test_the_scatter_shows_every_users_ranks_by_both_models(root: Root) -> None:
    app = compared("one", "other", "baseline:markov", view="Users", y="baseline:markov")
    assert app.query_params["y"] == "baseline:markov" and "x" not in app.query_params
    figure = next(chart for title, chart in charts(app).items() if title.startswith("Rank of each"))
    points = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    users = [user for trace in points for user in numbers(trace["customdata"])]
    assert sorted(users) == list(range(101, 161))
    ranks = {one: evaluated(root, one).rank("history") for one in ("one", "baseline:markov")}
    found = int((ranks["one"] <= 10).sum()), int((ranks["baseline:markov"] <= 10).sum())
    both = int(((ranks["one"] <= 10) & (ranks["baseline:markov"] <= 10)).sum())
    said = next(text for text in words(app).splitlines() if text.startswith("Of 60 held-out movies"))
    assert f"one model** finds {found[0]} in its first 10, **Markov chain** {found[1]}: both {both}" in said


def numbers(array: Any) -> list[float]:
    """An array of a figure's JSON, which Plotly packs where it can."""
    if not isinstance(array, dict):
        return list(array)
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"]).tolist()


def evaluated(root: Root, name: str) -> Ranks:
    """The ranks of a model that the command line stored before."""
    dataset = load_dataset(root.data / "small", root.data / ".cache")
    stored = pending(root, find_model(root, name), Task(dataset, split_of("leave_last_out"))).stored()
    assert stored is not None
    return stored.ranks


def test_a_failed_evaluation_is_not_repeated_until_somebody_asks(root: Root, gate: Gate) -> None:
    gate.error = EvaluationError("the disk is on fire")
    gate.released.set()
    app = compared("one", "baseline:markov")
    for _ in range(3):
        run(app)
    assert errors(app) == ["Markov chain is left out: the disk is on fire"]
    assert gate.times == 1
    gate.error = None
    (again,) = (button for button in app.button if button.label == "Try again")
    again.click()
    assert set(tables(settled(run(app)))["NDCG"]) == {"one model", "Markov chain"}
    assert gate.times == 2


def test_what_is_stored_is_compared_without_torch(root: Root) -> None:
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(PROJECT / 'app.py')!r}, default_timeout=120)\n"
        f"app.switch_page({PAGE!r})\n"
        "app.query_params['runs'] = ['one/best', 'other/best', 'baseline:markov']\n"
        "app.run()\n"
        "assert any('has the highest' in str(element.value) for element in app.markdown), app.error\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_suggested_can_be_compared_whatever_windows_the_models_read(root: Root) -> None:
    def suggestion(runs: list[RunSummary]) -> list[str]:
        return [str(model) for recipe in run_views.suggestion(runs) for model in recipe]

    ordered = list_runs(root)[0]
    assert "wide/best" in suggestion(ordered)
    assert [len(recipe) for recipe in run_views.suggestion(ordered) if str(recipe[0]) == "one/best"] == [2]
    assert {"one/best", "twin/best"} <= set(suggestion(ordered))
    app = settled(begun())
    assert not app.error and "has the highest" in words(app)


def test_going_to_another_page_and_back_by_the_sidebar_shows_the_same_again(root: Root) -> None:
    app = compared("one", "baseline:markov", view="Slices", k=["5", "20"])
    run(app.switch_page("pages/data.py"))
    links = {link.proto.label: link.proto.query_string for link in app.sidebar.get("page_link")}
    assert set(parse_qs(links["Compare"])["k"]) == {"5", "20"}
    assert parse_qs(links["Compare"])["runs"] == ["one/best", "baseline:markov"]
    assert parse_qs(links["Compare"])["view"] == ["Slices"]
    assert not links["Recommend"]


def test_ties_in_time_are_chosen_beside_the_split_and_kept_in_the_address(root: Root) -> None:
    app = compared("one", "baseline:markov")
    assert "ties in time go by the order of lines (0% of targets are tied)" in words(app).replace("\\", "")
    app = settled(app.selectbox(key="compare.time_ties").set_value("as_set").run())
    assert app.query_params["time_ties"] == "as_set"
    assert "Recall" in words(app)
    assert not app.exception
    app.selectbox(key="split").set_value("random_windows").run()
    assert app.selectbox(key="compare.time_ties").options == ["file", "hash"]
    assert not app.exception


def test_of_many_users_a_sample_is_suggested_and_the_choice_is_kept_in_the_link(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [box for box in compared("baseline:markov").selectbox if box.key == "compare.users"]
    monkeypatch.setattr("recformer.ui.compare.page.SAMPLES", (10, 20))
    app = compared("one", "baseline:markov")
    assert app.selectbox(key="compare.users").options == ["a sample of 20", "a sample of 10", "everybody (60)"]
    assert "20 · a sample of 20 users (seed 0)" in words(app)
    app = settled(app.selectbox(key="compare.users").set_value("10").run())
    assert app.query_params["users"] == "10"
    assert "10 · a sample of 10 users (seed 0)" in words(app)
    monkeypatch.setattr("recformer.ui.compare.page.SAMPLES", (20, 100))
    app = compared("one", "baseline:markov")
    assert app.selectbox(key="compare.users").options == ["everybody (60)", "a sample of 20"]
    assert "a sample of 20" not in words(app)


def test_the_part_is_chosen_on_the_page_and_kept_in_the_link(root: Root) -> None:
    app = compared("one", "other")
    assert "On the validation part, which chose each checkpoint: whoever had more to choose from" in words(app)
    assert "The test is the last step. Take it with *Part*." in words(app)
    assert "part" not in app.query_params and not app.warning, "to be chosen there is no leak"
    assert "Looks at the test:] 0 checkpoints so far" in words(app)
    app = settled(app.selectbox(key="compare.part").set_value("test").run())
    assert app.query_params["part"] == "test"
    assert "On the test part, where 2 checkpoints were looked at so far." in words(app)
    assert "Looks at the test:] 2 checkpoints so far" in words(app)


def test_the_protocol_card_says_what_a_reviewer_would_ask_of_the_split(root: Root) -> None:
    said = words(compared("one", "other"))
    assert "of training interactions lie after a held-out target in time" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("split", "no_such"), ("view", "Nothing"), ("masking", "all"), ("part", "train")),
        *(("window", "none"), ("window", "0"), ("recent", "201"), ("recent", "²")),
        *(("margin", "1e308"), ("margin", "-0.1"), ("margin", "small"), ("margin", "nan")),
    ],
)
def test_a_value_of_the_address_that_cannot_be_is_named_and_the_usual_is_shown(
    root: Root, name: str, value: str
) -> None:
    app = begun("one", "other", **{name: value})
    told = [warning.value.replace("\\", "") for warning in app.warning]
    assert f"Not here (any more): {name} {value}." in told
    assert not app.error
    assert app.query_params.get(name) in (None, [])


@pytest.mark.parametrize(
    "query", [{"split": "leave_last_out", "view": "Ranking", "recent": "7", "margin": "0.01"}, {"window": "7"}]
)
def test_values_of_the_address_that_can_be_are_taken_without_a_word(root: Root, query: dict[str, Any]) -> None:
    app = begun("one", "other", **query)
    assert not app.warning and not app.error
    assert app.number_input(key="recent").value == 7
    assert app.number_input(key="margin").value == (0.01 if "margin" in query else None)


@pytest.mark.parametrize("query", [{"view": ""}, {"masking": ""}])
def test_an_address_that_names_nothing_shows_the_usual(root: Root, query: dict[str, str]) -> None:
    assert not errors(compared("one", "other", **query))


def test_each_of_more_models_than_there_are_signs_has_a_row(root: Root) -> None:
    names = ["one", "other", "twin", "bare", *(f"baseline:{name}" for name in BASELINES.names())]
    app = compared(*names, join_seeds="false")
    assert len(tables(app)["NDCG"]) == len(names) == 9
