"""Monitor in its states: one run, several, one that is at work, one that was resumed and stopped, a foreign log."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from torch.utils.tensorboard import SummaryWriter

from recformer.files.names import PROJECT
from recformer.jobs.launch import LOG_FILE
from recformer.run.job_records import JobRecord, Status, read_status, write_job, write_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.process import birth
from recformer.training.tensorboard import TensorBoardWriter
from recformer.ui.monitor import page
from recformer.ui.monitor.curves_view import ShownRun
from recformer.ui.shared.palette import OKABE_ITO, Style
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import SMALL_SET, environment, small_config, train_here
from tests.waiting import wait_until

SLOW_PAGE_S = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two runs, of which the second was resumed once."""
    root = Root(tmp_path_factory.mktemp("trained"))
    dataset = dataset_in(write_ml1m(root.data / "small", sequences()))
    train_here(root, "first", dataset, small_config(name="first run"))
    train_here(root, "second", dataset, small_config(name="second run", num_epochs=2))
    train_here(root, "second", dataset, small_config(name="second run", num_epochs=4), resume=True)
    return root.path


@pytest.fixture
def root(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    yield Root(tmp_path)


def opened(*runs: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S).run()
    app.switch_page("pages/monitor.py")
    app.query_params["run"] = list(runs)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert not app.error, app.error
    return app


def charts(app: AppTest) -> dict[str, Any]:
    """Title to figure."""
    figures = [json.loads(json.loads(chart.proto.json)) for chart in app.get("bidi_component")]
    return {figure["layout"]["title"]["text"]: figure for figure in figures}


def names(figure: Any) -> list[str]:
    return [trace["name"] for trace in figure["data"]]


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(str(element.value) for element in elements)


def test_one_run_shows_training_beside_validation_and_its_best_epoch(root: Root) -> None:
    app = opened("first")
    loss = charts(app)["Loss"]
    assert names(loss) == ["train", "validation"]
    assert "★" in [note["text"] for note in loss["layout"]["annotations"]]
    assert {"Epoch", "Learning rate", "Best NDCG@10", "Memory"} <= {tile.label for tile in app.metric}


def test_a_resumed_run_says_where_it_was_resumed(root: Root) -> None:
    loss = charts(opened("second"))["Loss"]
    marks = {note["text"]: note["x"] for note in loss["layout"]["annotations"] if note["text"] != "★"}
    assert marks == {"started": 0, "resumed": 2.5}


def test_the_training_loss_by_step_stands_behind_that_by_epoch_as_soon_as_this_is_a_line(root: Root) -> None:
    loss = {run: charts(opened(run))["Loss"]["data"] for run in ("first", "second")}
    one_epoch, four_epochs = loss["first"], loss["second"]
    assert [(trace["name"], len(trace["x"]) > 4, "opacity" in trace) for trace in one_epoch] == [
        ("train", True, False),
        ("validation", False, False),
    ]
    assert [("opacity" in trace, len(trace["x"])) for trace in four_epochs][1:] == [(False, 4), (False, 4)]
    assert four_epochs[0]["opacity"] < 1
    assert four_epochs[0]["x"][-1] == 4
    assert len(four_epochs[0]["x"]) > 4


def test_the_peak_of_the_learning_rate_within_an_epoch_is_drawn(root: Root) -> None:
    with TensorBoardWriter(root.run("first") / "by_step", 0) as writer:
        for step, rate in ((1, 0.1), (2, 0.9), (3, 0.5)):
            writer.write(step, {"lr_step": rate})
    rates = charts(opened("first", axis="step"))["Learning rate"]["data"][0]
    assert rates["y"][:3] == pytest.approx([0.1, 0.9, 0.5])
    assert rates["x"][:3] == pytest.approx([1, 2, 3])


SLOW_STEPS = """
import time
from recformer.training.window_batches import WindowBatches
real = WindowBatches.epoch
def epoch(*arguments):
    for batch in real(*arguments):
        time.sleep(0.1)
        yield batch
WindowBatches.epoch = epoch
from recformer.cli.commands import main
main()
"""


def test_the_curves_of_a_slow_model_appear_and_grow_within_its_first_epoch(root: Root) -> None:
    data = write_ml1m(root.data / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))
    words = ["train", "--preset", "baseline", "--data", str(data), "--run-id", "slow", "--device", "cpu"]
    words += ["--set", "batch_size=1", "engine=eager", *SMALL_SET]  # thousands of steps
    command = [sys.executable, "-c", SLOW_STEPS, *words]

    def drawn() -> Any:
        return charts(app.run()).get("Loss")

    def in_an_epoch() -> Status | None:
        found = read_status(root.run("slow"))
        return found if found is not None and found.epoch else None

    with subprocess.Popen(command, env=environment(root.path), cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: read_status(root.run("slow")), "the run to begin")
            app = opened("slow")
            first = wait_until(drawn, "the first points")
            more = wait_until(lambda: (now := drawn())["data"][0]["x"][-1] > first["data"][0]["x"][-1] and now, "more")
            status = wait_until(in_an_epoch, "the heartbeat that follows")
            assert process.poll() is None
        finally:
            process.kill()
    assert status is not None
    assert status.epoch == 1
    assert "validation" not in str(status.metrics), "no epoch has ended"
    assert names(more) == ["train"]
    assert 0 < more["data"][0]["x"][-1] < 1
    assert {"Loss", "Learning rate", "Windows per second"} <= set(charts(app))


def test_a_stopped_run_says_where_it_stopped(root: Root) -> None:
    status = read_status(root.run("second"))
    assert status is not None
    write_status(root.run("second"), status.model_copy(update={"state": "stopped", "step": status.steps // 2}))
    marks = {note["text"]: note["x"] for note in charts(opened("second"))["Loss"]["layout"]["annotations"]}
    assert marks["stopped"] == 2


def test_several_runs_share_each_chart_in_colours_of_their_own(root: Root) -> None:
    app = opened("first", "second")
    ndcg = charts(app)["metric/ndcg@10"]
    assert names(ndcg) == ["first run", "second run"]
    assert len({trace["line"]["color"] for trace in ndcg["data"]}) == 2
    loss = charts(app)["Loss"]
    lines = [trace for trace in loss["data"] if "opacity" not in trace]
    assert [(trace["name"], trace["showlegend"]) for trace in lines if trace["line"]["dash"] == "solid"] == [
        ("first run", True),
        ("second run", True),
    ]
    assert any(row.value.count("first run") and row.value.count("second run") for row in app.markdown)


@pytest.mark.parametrize(
    ("axis", "title"),
    [("epoch", "epoch"), ("step", "optimizer step"), ("relative", "minutes since the run began"), ("wall", "date")],
)
def test_the_axis_is_part_of_the_link(root: Root, axis: str, title: str) -> None:
    loss = charts(opened("first", axis=axis))["Loss"]
    assert loss["layout"]["xaxis"]["title"]["text"] == title
    if axis == "step":
        status = read_status(root.run("first"))
        assert status is not None
        assert loss["data"][0]["x"][-1] == status.steps


def test_the_log_is_filtered(root: Root) -> None:
    (root.run("first") / LOG_FILE).write_text("epoch 1 fine\nepoch 2 odd\n")
    app = opened("first")
    app.text_input(key="log.filter").set_value("ODD").run()
    assert [block.value for block in app.code] == ["epoch 2 odd"]
    app.text_input(key="log.filter").set_value("absent").run()
    assert [block.value for block in app.code] == ["No line holds absent."]


def test_a_run_at_work_says_how_busy_its_device_is(root: Root) -> None:
    status = read_status(root.run("first"))
    assert status is not None
    now = time.time()
    job = JobRecord(
        command=["python"], device="cpu", queued_at=now, started_at=now, pid=os.getpid(), birth=birth(os.getpid())
    )
    write_job(root.run("first"), job)
    write_status(
        root.run("first"),
        status.model_copy(update={"state": "running", "launch": "", "time": now, "progress_time": now, "eta_s": 90.0}),
    )
    app = opened("first")
    tiles = {tile.label: tile.value for tile in app.metric}
    assert tiles["Time left"] == "2 min"
    assert tiles["CPU busy"].endswith("%")
    assert "Stop" in [button.label for button in app.button]


def test_overfitting_is_said_and_tinted(root: Root) -> None:
    with TensorBoardWriter(root.run("first"), 0) as writer:
        for epoch, validation in enumerate([5, 4, 4.2, 4.4, 4.5], start=1):
            writer.write(epoch, {"loss/train": 6.0 - epoch, "loss/validation": validation})
    app = opened("first")
    assert "Overfitting since epoch 2" in words(app)
    assert [shape["x0"] for shape in charts(app)["Loss"]["layout"]["shapes"] if shape["type"] == "rect"] == [2]


def test_the_log_of_another_project_is_shown_by_its_own_names(root: Root) -> None:
    for part in ("train", "validation"):
        folder = root.runs / "keras" / part
        folder.mkdir(parents=True)
        with TensorBoardWriter(folder, 0) as writer:
            for step in (100, 200):
                writer.write(step, {"epoch_loss": 1.0, "epoch_accuracy": 0.5})
    app = opened("keras")
    found = charts(app)
    assert set(found) == {"epoch_loss", "epoch_accuracy"}
    assert names(found["epoch_loss"]) == ["train", "validation"]
    assert found["epoch_loss"]["layout"]["xaxis"]["title"]["text"] == "step, as logged"


def test_the_folder_of_another_project_is_watched_before_its_log_begins_and_not_for_ever(root: Root) -> None:
    folder = root.run("elsewhere")
    folder.mkdir()

    def watched() -> bool:
        return page.moves([ShownRun(find_run(root, "elsewhere"), "elsewhere", Style(OKABE_ITO[0]))])

    assert watched()
    opened("elsewhere")
    long_ago = time.time() - 2 * page.LATELY_S
    os.utime(folder, (long_ago, long_ago))
    assert not watched()


def test_of_many_tags_a_dozen_are_drawn_until_more_are_asked_for_or_some_are_found(root: Root) -> None:
    with TensorBoardWriter(root.run("first"), 0) as writer:
        writer.write(1, {f"layer{number}/norm": 1.0 for number in range(40)})
    app = opened("first")
    assert len(charts(app)) == 12
    app.toggle(key="all_charts").set_value(True).run()
    assert len(charts(app)) == 43  # a log from epoch 0 takes back what was there, but for what is logged by step
    app.text_input(key="curves").set_value("layer7").run()
    assert list(charts(app)) == ["layer7/norm"]
    app.text_input(key="curves").set_value("nothing*").run()
    assert not charts(app)
    assert "No curve is called nothing" in words(app)


def test_damage_in_a_log_is_told_and_hides_nothing_else(root: Root) -> None:
    log = next(root.run("first").glob("events.out*"))
    data = bytearray(log.read_bytes())
    data[-60] ^= 1
    log.write_bytes(bytes(data))
    app = opened("first")
    assert "1 damaged place in its log left out" in words(app)
    assert "Loss" in charts(app)


def test_a_link_to_no_run_any_more_says_so(root: Root) -> None:
    assert "Not here (any more): run gone" in words(opened("first", "gone"))


def test_a_damaged_run_in_a_link_is_named_and_the_others_are_shown(root: Root) -> None:
    (root.run("second") / "status.json").write_text("damaged")
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60)
    app.switch_page("pages/monitor.py")
    app.query_params["run"] = ["first", "second"]
    app.run()
    assert not app.exception
    assert [error.value.split(":")[0] for error in app.error] == ["second cannot be shown\\"]
    assert "Loss" in charts(app)
    assert list(app.query_params["run"]) in (["first"], list("first"))


def test_loss_curves_of_another_project_pair_and_overfit(root: Root) -> None:
    (root.runs / "theirs").mkdir()
    with TensorBoardWriter(root.runs / "theirs", 0) as writer:
        for step, validation in enumerate([5, 4, 4.2, 4.4, 4.5], start=1):
            writer.write(step, {"loss/train": 6.0 - step, "loss/val": validation, "loss/test": validation})
    app = opened("theirs")
    loss = charts(app)["Loss"]
    assert [(trace["name"], trace["line"]["dash"]) for trace in loss["data"]] == [
        ("train", "dot"),
        ("loss/test", "solid"),
        ("loss/val", "dash"),
    ]
    assert "Overfitting since step 2" in words(app)


def test_a_log_that_cannot_be_read_takes_no_other_curve_away(root: Root) -> None:
    log = root.runs / "looped" / "events.out.tfevents.1.host.1.0"
    log.parent.mkdir()
    log.symlink_to(log)
    app = opened("first", "looped")
    assert "Loss" in charts(app)
    assert "looped has no curve in its log" in words(app)


def test_a_log_with_odd_times_is_drawn_on_every_axis(root: Root) -> None:
    folder = root.runs / "odd"
    with SummaryWriter(str(folder)) as writer:
        writer.add_scalar("loss", 1.0, 1, walltime=1.7e18)
        writer.add_scalar("loss", 2.0, 2, walltime=float("nan"))
    for axis in ("epoch", "step", "relative", "wall"):
        assert "loss" in charts(opened("odd", axis=axis))


def test_a_link_with_too_many_runs_shows_the_first_dozen(root: Root) -> None:
    for number in range(14):
        shutil.copytree(root.run("first"), root.run(f"more-{number:02}"))
    app = opened(*(f"more-{number:02}" for number in range(14)))
    assert "the first 12 are shown" in words(app)
    assert len(charts(app)["metric/ndcg@10"]["data"]) == 12


def test_a_curve_on_a_logarithmic_axis_has_no_range_of_exponents(root: Root) -> None:
    rate = charts(opened("first", log_axis="true"))["Learning rate"]
    assert rate["layout"]["yaxis"]["type"] == "log"
    assert "range" not in rate["layout"]["yaxis"]
