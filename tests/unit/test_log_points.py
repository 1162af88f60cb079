"""No point that was logged is lost, or it is counted: steps that repeat, start again, or were not given."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from benchmarks.event_files import framed
from recformer.logs.axis import clock_of
from recformer.logs.best import best_values, log_fault
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.ui.shared.curve_chart import Line, curve_chart
from tests.log_files import NAME, check_index, read, scalar, start


def titled(curves: dict[str, Curve], axis: str = "epoch") -> tuple[str, str, list[float]]:
    """What a chart of the loss says, the title of its axis, and where its points stand."""
    clock = clock_of(curves, None)
    chart = curve_chart("loss", [Line("loss", "#0072B2", curves["loss"], clock=clock)], axis=axis)  # pyright: ignore
    layout = chart["layout"]
    return layout["title"]["subtitle"]["text"], layout["xaxis"]["title"]["text"], chart["data"][0]["x"].tolist()


def test_points_without_a_step_are_shown_by_time(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for number in range(40):
            writer.add_scalar("loss", number, walltime=1.7e9 + 60 * number)
    curves = read(tmp_path).scalars()
    assert curves["loss"].value.tolist() == list(range(40))
    said, title, places = titled(curves)
    assert said == "⚠ 39 points share a step; shown by time"
    assert title == "hours since the run began"
    np.testing.assert_allclose(places, np.arange(40) / 60)


def test_steps_that_start_again_each_epoch_lose_nothing(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for epoch in range(5):
            for batch in range(20):
                writer.add_scalar("loss", 100 - epoch * 20 - batch, batch, walltime=1.7e9 + epoch * 20 + batch)
    curves = read(tmp_path).scalars()
    assert curves["loss"].value.tolist() == list(range(100, 0, -1))
    assert titled(curves)[0] == "⚠ 80 points share a step; shown by time"


def test_without_times_points_that_share_a_step_stand_as_they_were_logged(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"".join(scalar(0, value, wall_time=1e13) for value in (3, 1, 2)))
    curves = read(tmp_path).scalars()
    assert curves["loss"].value.tolist() == [3, 1, 2]
    said, title, places = titled(curves)
    assert said == "⚠ 2 points share a step; shown in the order they were logged"
    assert (title, places) == ("points, in the order in which they were logged", [1, 2, 3])


def test_a_run_that_went_on_from_before_its_end_says_what_was_logged_again(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"".join(scalar(step, 1) for step in range(10)))
    with (tmp_path / "later.tfevents.2").open("wb") as file:
        file.write(b"".join(scalar(step, 2, wall_time=1000.0 + step) for step in range(7, 15)))
    loss = read(tmp_path).scalars()["loss"]
    assert loss.step.tolist() == list(range(15))
    assert loss.value.tolist() == [1.0] * 7 + [2.0] * 8
    assert titled({"loss": loss})[:2] == ("⚠ 3 points logged again; the later ones are shown", "epoch")


def test_a_session_that_takes_back_steps_leaves_nothing_to_say(tmp_path: Path) -> None:
    records = [*(scalar(step, 1) for step in range(5)), framed(start(3, 900.0)), scalar(3, 2), scalar(4, 2)]
    (tmp_path / NAME).write_bytes(b"".join(records))
    loss = read(tmp_path).scalars()["loss"]
    assert (loss.value.tolist(), loss.repeated, loss.by_time) == ([1, 1, 1, 2, 2], 0, False)


def test_a_session_takes_back_steps_that_start_again_too(tmp_path: Path) -> None:
    records = [*(scalar(step % 4, step, wall_time=100.0 + step) for step in range(12)), framed(start(2, 900.0))]
    (tmp_path / NAME).write_bytes(b"".join(records))
    assert read(tmp_path).scalars()["loss"].value.tolist() == [0, 1, 4, 5, 8, 9]


def test_a_copy_of_a_file_doubles_no_point(tmp_path: Path) -> None:
    content = b"".join(scalar(step, step) for step in range(5))
    (tmp_path / NAME).write_bytes(content)
    (tmp_path / f"copy-of-{NAME}").write_bytes(content)
    loss = read(tmp_path).scalars()["loss"]
    assert (loss.step.tolist(), loss.repeated) == (list(range(5)), 0)


def test_points_that_share_steps_grow_and_outlive_the_process(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path, log = tmp_path / "run" / NAME, RunLog(tmp_path / "run")
    earlier: Curve | None = None
    for number in range(3000):
        with path.open("ab") as file:
            file.write(scalar(number % 10, number, wall_time=100.0 + number))
        if number % 500 == 499:
            assert log.refresh()
            if earlier is not None:  # what was handed out stays as it is
                assert earlier.value.tolist() == list(range(number - 499))
            earlier = log.scalars()["loss"]
            assert earlier.value.tolist() == list(range(number + 1))
            check_index(tmp_path / "run", tmp_path / "index")


def test_a_log_without_ndcg_and_loss_has_the_figures_that_it_has(tmp_path: Path) -> None:
    records = [scalar(step, value, "recall@10") for step, value in enumerate([0.1, 0.3, 0.2, float("nan")])]
    (tmp_path / NAME).write_bytes(b"".join(records))
    assert best_values(read(tmp_path).scalars(), None) == {"recall@10": pytest.approx(0.2)}


def test_figures_are_taken_by_time_where_steps_say_nothing(tmp_path: Path) -> None:
    losses = [scalar(number % 3, value, wall_time=100.0 + number) for number, value in enumerate([5, 4, 3, 1, 2, 6])]
    accuracy = [scalar(epoch, epoch, "acc", 100.5 + 3 * epoch) for epoch in range(2)]
    (tmp_path / NAME).write_bytes(b"".join([*losses, *accuracy]))
    assert best_values(read(tmp_path).scalars(), None) == {"loss": 1, "acc": 0}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([5, 4, float("nan"), float("nan")], "not a number since step 3 (loss)"),
        ([5, float("inf")], "not a number since step 2 (loss)"),
        ([5, float("nan"), 4, float("nan")], "not a number since step 4, and 1 before (loss)"),
        ([5, float("nan"), 4], "1 value is not a number (loss)"),
        ([5, 4], None),
        ([], None),
    ],
)
def test_a_list_says_that_a_run_has_diverged(values: list[float], said: str | None) -> None:
    step = np.arange(1, len(values) + 1)
    assert log_fault({"loss": Curve(step, 1e9 + step, np.array(values, dtype=float))}) == said


def test_a_list_says_that_a_log_has_no_times() -> None:
    step = np.arange(1, 4)
    assert log_fault({"acc": Curve(step, np.full(3, np.nan), step + 0.0)}) == "no usable times"
