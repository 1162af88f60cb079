"""No foreign log takes a page away: each run is on Home with what is wrong with it, and Monitor says what it leaves out."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from recformer.files.names import PROJECT
from recformer.logs.reader import RunLog
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.ui.home.log_figures import run_figures
from recformer.ui.monitor.page import moves
from tests.foreign_runs import write_foreign_runs
from tests.log_files import NAME, scalar

SLOW_PAGE_S = 60
SAID = {
    "minus-steps": None,
    "date-name": None,
    "milliseconds": None,
    "infinite": "⚠ not a number since step 1",
    "diverged": "⚠ not a number since step 5",
    "no-steps": "⚠ 39 points share a step; shown by time",
    "restarts": "⚠ 80 points share a step; shown by time",
    "far-steps": None,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    root = Root(tmp_path_factory.mktemp("foreign"))
    write_foreign_runs(root)
    return root


@pytest.fixture(autouse=True)
def in_root(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECFORMER_ROOT", str(root.path))


def home() -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S).run()
    assert not app.exception, app.exception
    return app


def test_home_lists_every_run_and_what_is_wrong_with_its_log(root: Root) -> None:
    table = home().dataframe[0].value.set_index("run")
    assert set(table.index) == set(SAID)
    said = {run: words for run, words in table["fault"].items() if isinstance(words, str)}
    assert said == {
        "diverged": "not a number since step 5 (loss/train)",
        "infinite": "not a number since step 1 (loss/train)",
        "milliseconds": "no usable times",
    }


def test_a_log_at_which_a_reader_fails_unforeseen_takes_no_other_run_from_home(monkeypatch: pytest.MonkeyPatch) -> None:
    refresh = RunLog.refresh

    def fails_at_one(log: RunLog) -> None:
        if log.folder.name == "far-steps":
            raise ZeroDivisionError("what nobody thought of")
        refresh(log)

    run_figures.clear()  # what it kept of the log before
    monkeypatch.setattr(RunLog, "refresh", fails_at_one)
    table = home().dataframe[0].value.set_index("run")
    run_figures.clear()
    assert set(table.index) == set(SAID)
    assert table["fault"]["far-steps"].startswith("Its log cannot be read")
    assert table["fault"]["diverged"].startswith("not a number")


@pytest.mark.parametrize(("run", "said"), SAID.items())
def test_monitor_shows_each_of_them_and_says_what_it_leaves_out(run: str, said: str | None) -> None:
    app = home()
    app.switch_page("pages/monitor.py")
    app.query_params["run"] = run
    app.run()
    assert not app.exception, app.exception
    charts = [json.loads(json.loads(chart.proto.json)) for chart in app.get("bidi_component")]
    assert charts
    assert charts[0]["layout"]["title"].get("subtitle", {}).get("text") == said


def test_monitor_watches_a_log_that_grows_in_a_subfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recformer.ui.monitor.curves_view import ShownRun
    from recformer.ui.shared.palette import Style

    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    folder = Root(tmp_path).run("keras") / "train"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(scalar(1, 1))
    shown = ShownRun(find_run(Root(tmp_path), "keras"), "keras", Style("#0072B2"))
    assert moves([shown])
