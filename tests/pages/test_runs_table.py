"""Home's table of many runs: search, states, tags, groups, columns, the link that holds them, and the ticked row."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from torch.utils.tensorboard import SummaryWriter

from recformer.files import stamps
from recformer.files.names import PROJECT
from recformer.logs.best import LOSS, NDCG
from recformer.run.overview import find_run, list_runs
from recformer.run.paths import Root
from recformer.ui.home import log_figures
from recformer.ui.home.log_figures import Figures, RunFigures
from recformer.ui.home.runs_table import USUAL, column_of, digest
from tests.waiting import wait_until

MANY = 24
EPOCHS = 100


def write_run(root: Root, number: int) -> None:
    """A finished run, λ by turns none, 0.1 and 0.2, its NDCG@10 0.01 for each number; every sixth one failed."""
    run_id = f"run-{number:02}"
    folder, model = root.run(run_id), root.model(run_id)
    folder.mkdir(parents=True)
    model.mkdir(parents=True)
    loss = [
        {"name": "cross_entropy"},
        {"name": "soft_penalty", "penalty": 0.1},
        {"name": "soft_penalty", "penalty": 0.2},
    ]
    config = {"name": f"run {number}", "loss": loss[number % 3], "batch_size": 512, "seed": number % 2}
    (folder / "config.yaml").write_text(json.dumps(config))
    status = {
        "state": "failed" if number % 6 == 5 else "finished",
        "epoch": 3,
        "num_epochs": 3,
        "step": 30,
        "steps": 30,
    }
    (folder / "status.json").write_text(json.dumps(status | {"device": "cpu", "time": 1.0, "progress_time": 1.0}))
    metrics = {NDCG: number / 100, LOSS: 7 - number / 100}
    (model / "best.json").write_text(json.dumps({"epoch": 2, "metrics": metrics}))
    (model / "best.safetensors").write_bytes(b"")
    labels = {"tags": ["even"] if number % 2 == 0 else [], "archived": number == 23}
    (folder / "labels.json").write_text(json.dumps(labels))


def write_log(folder: Path) -> None:
    """Validation losses 100, 99, … and a tag that no checkpoint's record has."""
    with SummaryWriter(str(folder)) as writer:
        for epoch in range(1, EPOCHS + 1):
            writer.add_scalar(LOSS, EPOCHS + 1 - epoch, epoch)
            writer.add_scalar("throughput/samples_per_s", 10 * epoch, epoch)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Root(tmp_path_factory.mktemp("many"))
    for number in range(MANY):
        write_run(root, number)
    write_log(root.run("run-01"))
    return root.path


@pytest.fixture
def many(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """A root of 24 runs, one of them archived, that the app looks at."""
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    yield Root(tmp_path)


def home(**query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return rerun(app)


def rerun(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def table(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "run" in frame.value)


def numbers(app: AppTest) -> set[int]:
    return {int(name.split()[1]) for name in table(app)["run"]}


def link(app: AppTest) -> dict[str, list[str]]:
    values = {name: app.query_params[name] for name in app.query_params}
    return {name: [value] if isinstance(value, str) else value for name, value in values.items()}


def captions(app: AppTest) -> list[str]:
    return [caption.value for caption in app.caption]


def tick(app: AppTest, row: int) -> AppTest:
    ids = [f"run-{int(name.split()[1]):02}" for name in table(app)["run"]]
    app.session_state[f"home.runs.{digest(ids)}"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return rerun(app)


def ticked(app: AppTest) -> list[str]:
    """Names of the runs whose actions are shown."""
    return [str(entry.value).split("**")[1] for entry in app.markdown if "** · " in str(entry.value)]


def test_untouched_the_table_has_all_runs_and_its_link_is_bare(many: Root) -> None:
    app = home()
    assert not app.error
    assert numbers(app) == set(range(23))
    assert list(table(app).columns) == ["run", *USUAL]
    assert link(app) == {}
    assert app.toggle(key="archived").set_value(True).run() and numbers(app) == set(range(24))


def test_figures_are_the_best_epochs_and_the_curve_is_short(many: Root) -> None:
    row = table(home()).set_index("id").loc["run-01"]
    assert (row[NDCG], row[LOSS]) == (0.01, 6.99)
    assert len(row["curve"]) == 40
    assert (row["curve"][0], row["curve"][-1]) == (100, 1)


def test_a_search_narrows_the_table_and_a_link_holds_it(many: Root) -> None:
    app = home()
    app.text_input(key="search").set_value("ndcg@10>=0.2 -tag:even").run()
    assert numbers(app) == {21}
    assert "1 of 23 runs" in captions(app)
    assert numbers(home(search="ndcg@10>=0.2 -tag:even")) == {21}


def test_a_fault_in_the_search_is_told_and_takes_no_run_away(many: Root) -> None:
    app = home(search="batchsize=512")
    (error,) = app.error
    assert "did you mean batch" in error.value
    assert numbers(app) == set(range(23))
    app.text_input(key="search").set_value('"').run()
    assert "not closed" in app.error[0].value


def test_a_search_that_finds_nothing_says_so(many: Root) -> None:
    app = home(search="nothing-like-it")
    assert not [frame for frame in app.dataframe if "run" in frame.value]
    assert any("No run is what you ask for" in info.value for info in app.info)


def test_states_and_tags_narrow_too(many: Root) -> None:
    app = home()
    app.multiselect(key="home.state").set_value(["failed"]).run()
    assert numbers(app) == {5, 11, 17}
    app.multiselect(key="home.tag").set_value(["even"]).run()
    assert any("No run is what you ask for" in info.value for info in app.info)
    app.multiselect(key="home.state").set_value([]).run()
    assert numbers(app) == set(range(0, 23, 2))
    assert link(app) == {"tag": ["even"]}
    assert numbers(home(state="failed")) == {5, 11, 17}


def test_columns_are_any_setting_or_figure_and_in_the_link(many: Root) -> None:
    app = home()
    chosen = ["loss.penalty", "throughput/samples_per_s", "loss.name", "id"]
    app.multiselect(key="home.columns").set_value(chosen).run()
    assert list(table(app).columns) == ["run", *chosen]
    assert link(app) == {"columns": chosen}
    rows = table(home(columns=chosen)).set_index("id")
    assert rows.loc["run-01", "throughput/samples_per_s"] == 20  # at the epoch of its best checkpoint, the second
    assert rows.loc["run-02", "loss.penalty"] == 0.2
    assert pd.isna(rows.loc["run-00", "loss.penalty"])
    app.multiselect(key="home.columns").set_value([]).run()
    assert list(table(app).columns) == ["run"]
    assert link(app) == {"columns": [""]}
    assert list(table(home(columns="")).columns) == ["run"]
    app.multiselect(key="home.columns").set_value(USUAL).run()
    assert link(app) == {}


def test_a_link_to_a_column_that_is_gone_says_so_and_shows_the_others(many: Root) -> None:
    app = home(columns=["state", "gone"])
    assert any("gone" in warning.value for warning in app.warning)
    assert list(table(app).columns) == ["run", "state"]


def test_groups_count_runs_and_say_how_good_they_are(many: Root) -> None:
    app = home()
    assert app.selectbox(key="home.group").options == ["Nothing", "loss.name", "loss.penalty", "seed"]
    app.selectbox(key="home.group").set_value("loss.penalty").run()
    assert link(app) == {"group": ["loss.penalty"]}
    groups = app.dataframe[0].value
    assert groups["value"].tolist()[:2] == [0.1, 0.2] and pd.isna(groups["value"][2])
    assert groups["runs"].tolist() == [8, 7, 8]
    assert groups["best"].tolist() == [0.22, 0.20, 0.21]
    mine = pd.Series([number / 100 for number in range(1, 23, 3)])
    assert groups["mean"][0] == pytest.approx(mine.mean())
    assert groups["deviation"][0] == pytest.approx(mine.std())
    rows = table(app)
    assert list(rows.columns) == ["run", "loss.penalty", *USUAL]
    assert rows["loss.penalty"].tolist()[:15] == [0.1] * 8 + [0.2] * 7


def test_a_ticked_group_narrows_the_runs(many: Root) -> None:
    app = home(group="loss.penalty")
    key = f"home.groups.{digest(['loss.penalty', '0.1', '0.2', 'null'])}"
    app.session_state[key] = {"selection": {"rows": [1, 2], "columns": [], "cells": []}}
    rerun(app)
    assert numbers(app) == {number for number in range(23) if number % 3 != 1}


def test_a_group_stays_chosen_when_a_search_leaves_one_of_its_values(many: Root) -> None:
    app = home(group="loss.penalty", search="penalty=0.1")
    assert not app.warning
    assert app.dataframe[0].value["runs"].tolist() == [8]
    assert link(app) == {"group": ["loss.penalty"], "search": ["penalty=0.1"]}


def test_a_ticked_run_stays_ticked_and_the_tick_never_passes_to_another(many: Root) -> None:
    app = tick(home(), 3)
    name = table(app)["run"][3]
    assert ticked(app) == [name]
    app.text_input(key="search").set_value(f'"{name}"').run()
    assert ticked(app) == [name]
    app.text_input(key="search").set_value(f'-"{name}"').run()
    assert ticked(app) == []


def test_with_few_runs_there_is_nothing_to_search_unless_a_link_asks(many: Root) -> None:
    for number in range(5, MANY):
        shutil.rmtree(many.run(f"run-{number:02}"))
        shutil.rmtree(many.model(f"run-{number:02}"))
    app = home()
    assert not app.text_input and numbers(app) == set(range(5))
    assert [box.key for box in app.multiselect] == ["home.columns"]
    assert numbers(home(search="tag:even")) == {0, 2, 4}
    assert numbers(home(tag="even")) == {0, 2, 4}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> RunFigures:
    monkeypatch.setattr(stamps, "SETTLED_NS", 0)
    return RunFigures()


def test_figures_are_taken_anew_only_when_log_or_record_change(many: Root, figures: RunFigures) -> None:
    def now() -> Figures:
        ((found,), to_read) = figures.of([find_run(many, "run-01")])
        assert to_read == 0
        return found

    before = now()
    assert now() is before
    write_log(many.run("run-01"))
    assert now() != before
    record = {"epoch": 3, "metrics": {NDCG: 0.5}}
    (many.model("run-01") / "best.json").write_text(json.dumps(record))
    assert now().best[NDCG] == 0.5
    (many.run("run-01") / "below").mkdir()
    write_log(many.run("run-01") / "below")
    assert any(tag.startswith("below/") for tag in now().best)


def test_of_many_new_logs_the_first_are_waited_for_and_the_others_read_in_the_background(
    many: Root, figures: RunFigures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_figures, "AT_ONCE", 3)
    runs, _ = list_runs(many)
    for run in runs:
        write_log(many.run(run.run_id))
    whole, _ = RunFigures().of(runs[:3])
    first, to_read = figures.of(runs)
    assert first[:3] == whole and first[0].loss
    assert to_read == MANY - 3 and not any(figure.loss for figure in first[3:])
    assert [figure.best[NDCG] for figure in first] == [figure.best[NDCG] for figure in whole + first[3:]]
    wait_until(lambda: not figures.busy(), "the others to be read")
    last, to_read = figures.of(runs)
    assert to_read == 0 and all(figure.loss for figure in last)


def test_the_table_says_that_logs_are_being_read_and_is_drawn_anew_with_them(
    many: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "SETTLED_NS", 0)
    monkeypatch.setattr(log_figures, "AT_ONCE", 3)
    write_log(many.run("run-02"))
    log_figures.run_figures.clear()
    app = home()
    assert any("are still being read" in caption.value for caption in app.caption)
    wait_until(lambda: not log_figures.run_figures().busy(), "the logs to be read")
    app.run()  # as the part that polls has it done
    assert not any("are still being read" in caption.value for caption in app.caption)
    assert len(table(app).set_index("id").loc["run-02", "curve"])


def test_a_log_that_cannot_be_read_takes_no_run_away(many: Root) -> None:
    (many.run("run-02") / "events.out.tfevents.1").mkdir()
    app = home()
    assert not app.error
    assert table(app).set_index("id").loc["run-02", NDCG] == 0.02


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1, None, 2.5], [1.0, None, 2.5]),
        ([True, None], ["true", None]),
        ([1, "auto"], ["1", "auto"]),
        (["5e-4", "1"], ["5e-4", "1"]),
        ([[16, 8], None], ["[16, 8]", None]),
        ([2**60, 1], [str(2**60), "1"]),
        ([{}, {"a": None}], ["{}", '{"a": null}']),
        ([None], [None]),
    ],
)
def test_a_column_is_numbers_or_text(values: list[Any], shown: list[Any]) -> None:
    assert [None if pd.isna(value) else value for value in column_of(values)] == shown
