"""What a foreign log says is held within bounds before dates, axes and tables see it."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from recformer.logs.axis import Clock, clock_of
from recformer.logs.bounds import known_stamp, printable, stamp_in_name
from recformer.logs.series import Curve
from recformer.run.overview import list_runs
from recformer.run.paths import Root
from recformer.training.tensorboard import stamps
from recformer.ui.home.log_figures import Figures
from recformer.ui.home.runs_table import frame_of, row_of
from recformer.ui.shared.curve_chart import Line, Mark, curve_chart
from recformer.ui.shared.words import number, plain
from tests.log_files import read, scalar

NAN = math.nan


def curve(values: list[float], steps: list[int] | None = None, wall: list[float] | None = None) -> Curve:
    n = len(values)
    return Curve(
        np.array(steps if steps is not None else range(1, n + 1), dtype=np.int64),
        np.array(wall if wall is not None else 1e9 + np.arange(n), dtype=np.float64),
        np.array(values, dtype=np.float64),
    )


def drawn(*curves: Curve, **options: Any) -> dict[str, Any]:
    lines = [Line(f"line {place}", "#0072B2", one, clock=Clock(1e9)) for place, one in enumerate(curves)]
    chart = curve_chart("loss", lines, **options)
    assert isinstance(chart, dict)
    go.Figure(chart)  # checks all its parts
    return chart


def said(chart: dict[str, Any]) -> str:
    return chart["layout"]["title"].get("subtitle", {}).get("text", "")


@pytest.mark.parametrize(
    ("seconds", "known"),
    [(0, 0.0), (1.7e9, 1.7e9), (-1, None), (1.7e12, None), (20231114221320, None), (NAN, None), (math.inf, None)],
)
def test_a_stamp_is_a_time_up_to_2100(seconds: float, known: float | None) -> None:
    assert known_stamp(seconds) == known
    for other in (True, None, "1", 10**400):
        assert known_stamp(other) is None


@pytest.mark.parametrize("name", ["20231114221320.h", "1725245582000.h", "9" * 5000, "x", "-5"])
def test_a_name_that_holds_no_time_names_none(name: str, tmp_path: Path) -> None:
    assert stamp_in_name(f"events.out.tfevents.{name}") is None
    (tmp_path / f"events.out.tfevents.{name[:100]}").touch()
    assert stamps(tmp_path) == []  # a run that is resumed beside it does not date itself into that year


def test_a_log_whose_name_is_a_date_takes_no_table_away(tmp_path: Path) -> None:
    root = Root(tmp_path)
    for run_id, file in (("bad", "20231114221320.h"), ("good", "1725245582.h")):
        root.run(run_id).mkdir(parents=True)
        (root.run(run_id) / f"events.out.tfevents.{file}").write_bytes(scalar(1, 1))
    runs, damaged = list_runs(root)
    assert damaged == []
    created = {run.run_id: run.created for run in runs}
    assert created["good"] == 1725245582
    assert abs(created["bad"] - time.time()) < 3600  # its folder's age
    rows = [row_of(run, Figures({}, [])) for run in runs]
    assert frame_of(rows, ["begun"])["begun"].notna().all()


def test_the_first_log_in_a_subfolder_says_when_a_run_began(tmp_path: Path) -> None:
    root = Root(tmp_path)
    for part, second in (("train", 1725245582), ("validation", 1725245590)):
        (root.run("keras") / part).mkdir(parents=True)
        (root.run("keras") / part / f"events.out.tfevents.{second}.h").write_bytes(scalar(1, 1))
    [run] = list_runs(root)[0]
    assert run.created == 1725245582


def test_stamps_that_are_no_times_are_unknown(tmp_path: Path) -> None:
    stamps = [1.7e12, 1.7e9, -5.0, NAN, math.inf]
    records = [scalar(step, step, wall_time=wall) for step, wall in enumerate(stamps)]
    (tmp_path / "a.tfevents.1").write_bytes(b"".join(records))
    loss = read(tmp_path).scalars()["loss"]
    np.testing.assert_array_equal(loss.wall_time, [NAN, 1.7e9, NAN, NAN, NAN])
    assert clock_of({"loss": loss}, None).began == 1.7e9
    chart = drawn(loss, axis="wall")
    assert "4 points without a usable time left out" in said(chart)


@pytest.mark.parametrize("axis", ["wall", "relative"])
def test_a_log_without_times_is_shown_by_step_and_says_so(axis: str) -> None:
    timeless = curve([3, 2, 1], wall=[NAN, NAN, NAN])
    chart = drawn(timeless, axis=axis, marks=[Mark("started", 1, NAN)], shade_from=2)
    assert said(chart) == "⚠ no usable times in the log; shown by step"
    assert chart["data"][0]["x"].tolist() == [1, 2, 3]
    assert chart["layout"]["xaxis"]["title"]["text"] == "step, as logged"


def test_steps_below_zero_get_no_tick_each() -> None:
    layout = drawn(curve([1.0] * 100_001, steps=list(range(-100_000, 1))))["layout"]
    assert "dtick" not in layout["xaxis"]
    assert drawn(curve([1.0, 2.0], steps=[-3, 2]))["layout"]["xaxis"]["dtick"] == 1


def test_infinity_alone_has_a_range_and_words() -> None:
    chart = drawn(curve([math.inf, -math.inf, NAN]))
    assert chart["layout"]["yaxis"]["range"] == [0, 1]
    assert "not a number since step 1" in said(chart)
    assert "no value that can be drawn" in [note["text"] for note in chart["layout"]["annotations"]]


def test_values_between_gaps_are_drawn_and_the_gaps_are_counted() -> None:
    chart = drawn(curve([NAN, 5, NAN, 4, 3, NAN]))
    [line] = chart["data"]
    assert line["mode"] == "lines+markers"
    assert line["marker"]["size"].tolist() == [0, 5, 0, 0, 0, 0]
    assert said(chart) == "⚠ not a number since step 6, and 2 before"
    assert said(drawn(curve([NAN, 5, math.inf, 4]))) == "⚠ 2 values are not a number"
    assert "line 1: not a number since step 2" in said(drawn(curve([1, 2]), curve([1, NAN])))
    assert said(drawn(curve([5, 4]))) == ""


def test_a_logarithmic_axis_says_what_it_cannot_show() -> None:
    assert said(drawn(curve([5, 0, -1]), log_axis=True)) == "⚠ 2 not above 0, so not on a logarithmic axis"


@pytest.mark.parametrize("log_axis", [False, True])
def test_what_a_browser_cannot_count_gets_a_range_or_is_no_number(log_axis: bool) -> None:
    for values in ([1e300, 1.0], [1e-310, 1e-320], [1e16, 1e16 + 2], [5.0, 5.0], [-7.0, -7.0]):
        chart = drawn(curve(values, steps=[2**62, 2**62 + 1]), log_axis=log_axis)
        shown = chart["data"][0]["y"][np.isfinite(chart["data"][0]["y"])]
        assert (np.abs(shown) <= 1e100).all()
        low, high = chart["layout"]["xaxis"]["range"]
        assert high - low > 1e10


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_points_and_marks_are_on_the_clock_of_their_own_day() -> None:
    """On 31 March 2024 at 1:00 UTC, clocks went from 2:00 to 3:00."""
    before = datetime(2024, 3, 31, 0, 30, tzinfo=UTC).timestamp()
    wall = [before, before + 3600]
    places = Clock(before).places(np.array([1, 2]), np.array(wall), "wall")
    assert [str(place)[:16] for place in places] == ["2024-03-31T01:30", "2024-03-31T03:30"]
    chart = drawn(curve([2, 1], wall=wall), axis="wall", marks=[Mark("resumed", 2, wall[1])])
    assert chart["layout"]["shapes"][0]["x0"] == places[1]


def test_names_are_shown_without_what_no_page_can_show() -> None:
    assert printable("a\x00b\ud800c\u2028") == "a�b�c�"
    assert len(printable("x" * 10**6)) == 200
    assert plain("a\x07") == "a�"
    assert number(1e80) == "1.00e+80"
