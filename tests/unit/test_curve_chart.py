"""The chart of curves: what is drawn, how many points, and what is marked."""

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.io.json import to_json_plotly

from recformer.logs.axis import Clock
from recformer.logs.series import Curve
from recformer.ui.monitor.page import matching
from recformer.ui.shared import curve_chart as charts
from recformer.ui.shared.curve_chart import Band, Line, Mark


def curve(n: int) -> Curve:
    return Curve(np.arange(1, n + 1), 1e9 + np.arange(n), np.linspace(7, 5, n))


def curve_chart(*arguments: Any, **options: Any) -> go.Figure:
    """The chart as a figure, which checks all its parts."""
    return go.Figure(charts.curve_chart(*arguments, **options))


def lines_of(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.name is not None]


@pytest.mark.parametrize("n", [1, 2, 1000, 1001, 100_000])
def test_no_line_has_more_than_1000_points_and_none_is_webgl(n: int) -> None:
    figure = curve_chart("Loss", [Line("a", "#0072B2", curve(n)), Line("b", "#E69F00", curve(3))])
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert [len(line.x) for line in lines_of(figure)] == [n if n <= 1000 else pytest.approx(1000, rel=0.34), 3]
    assert max(len(line.x) for line in figure.data) <= 1000


def test_many_lines_share_3000_points() -> None:
    lines = [Line(str(number), "#0072B2", curve(100_000)) for number in range(12)]
    counts = [len(line.x) for line in lines_of(curve_chart("Loss", lines))]
    assert counts == [counts[0]] * 12 and 200 < counts[0] <= 250
    crowd = lines_of(curve_chart("Loss", [Line(str(number), "#0072B2", curve(10)) for number in range(1000)]))
    assert min(len(line.x) for line in crowd) >= 2


def test_a_thinned_line_has_its_spikes_smoothed_or_not() -> None:
    long = curve(50_000)
    value = long.value.copy()
    value[[123, 40_001]] = 100, -100
    figure = curve_chart("Loss", [Line("a", "#0072B2", Curve(long.step, long.wall_time, value))])
    [line] = figure.data
    assert (max(line.y), min(line.y)) == (100, -100)
    assert (line.x[0], line.x[-1]) == (1, 50_000)
    raw, smoothed = curve_chart(
        "Loss", [Line("a", "#0072B2", Curve(long.step, long.wall_time, value))], smoothing=0.9
    ).data
    assert (max(raw.y), min(raw.y)) == (100, -100)
    assert len(smoothed.x) <= 1000


def test_a_smoothed_line_keeps_what_was_logged_behind_it() -> None:
    figure = curve_chart("Loss", [Line("a", "#0072B2", curve(10))], smoothing=0.9)
    raw, smoothed = figure.data
    np.testing.assert_array_equal(raw.y, curve(10).value)
    assert raw.opacity < 1 and raw.name is None
    assert smoothed.y[-1] > raw.y[-1]


def test_the_zoom_is_kept_until_the_axis_is_another() -> None:
    line = [Line("a", "#0072B2", curve(10))]
    one, grown = curve_chart("Loss", line), curve_chart("Loss", [Line("a", "#0072B2", curve(11))])
    assert one.layout.uirevision == grown.layout.uirevision
    assert one.layout.uirevision != curve_chart("Loss", line, axis="wall").layout.uirevision
    assert one.layout.uirevision != curve_chart("Loss", line, log_axis=True).layout.uirevision


def test_a_chart_of_dates_reaches_the_browser_as_the_figure_would() -> None:
    line = Line("a", "#0072B2", curve(10), clock=Clock(1e9), best=6)
    drawn = charts.curve_chart("Loss", [line], axis="wall", marks=[Mark("resumed", 3.5, 1e9 + 3)], shade_from=4)
    sent = json.loads(to_json_plotly(drawn))
    checked = json.loads(str(go.Figure(drawn).to_json()))
    assert sent["data"][0]["x"] == checked["data"][0]["x"]
    assert {name: checked["layout"][name] for name in sent["layout"]} == sent["layout"]


@pytest.mark.parametrize("log_axis", [False, True])
def test_the_best_step_is_starred_on_its_own_line(log_axis: bool) -> None:
    figure = curve_chart("Loss", [Line("a", "#0072B2", curve(11), best=6)], log_axis=log_axis)
    [star] = figure.layout.annotations
    assert (star.text, star.x) == ("★", 6)
    assert star.y == pytest.approx(np.log10(6.0) if log_axis else 6.0)
    assert not curve_chart("Loss", [Line("a", "#0072B2", curve(5), best=6)]).layout.annotations


@pytest.mark.parametrize(("axis", "place"), [("epoch", 3.5), ("step", 35.0), ("relative", 1.0)])
def test_what_happened_is_marked_where_it_was(axis: str, place: float) -> None:
    line = Line("a", "#0072B2", curve(10), clock=Clock(1e9, steps_per_epoch=10))
    figure = curve_chart("Loss", [line], axis=axis, marks=[Mark("resumed", 3.5, 1e9 + 3600)])
    assert figure.layout.shapes[0].x0 == place
    assert figure.layout.annotations[0].text == "resumed"


def test_overfitting_is_tinted_to_the_end() -> None:
    figure = curve_chart("Loss", [Line("a", "#0072B2", curve(10))], shade_from=4)
    [shade] = figure.layout.shapes
    assert (shade.x0, shade.x1) == (4, 10)


def test_bands_lie_behind_the_lines() -> None:
    step = np.array([1, 2])
    band = Band("#0072B2", step, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    figure = curve_chart("Loss", [Line("a", "#0072B2", curve(2))], bands=[band])
    assert list(figure.data[0].y) == [3, 4, 2, 1]
    assert figure.data[1].name == "a"


def test_values_that_are_no_numbers_break_no_chart() -> None:
    odd = Curve(np.array([1, 2, 3]), np.zeros(3), np.array([np.nan, np.inf, -1.0]))
    curve_chart("Loss", [Line("a", "#0072B2", odd, best=1)], smoothing=0.5, log_axis=True).to_json()


def test_the_log_filter_finds_lines_with_all_words_in_any_case() -> None:
    text = "Epoch 1 loss 5\nepoch 2 loss 4\nsaved"
    assert matching(text, "LOSS epoch") == ["Epoch 1 loss 5", "epoch 2 loss 4"]
    assert matching(text, "loss saved") == []
    assert matching("\n".join(["line"] * 500), "line") == ["line"] * 200


def test_names_are_shown_as_they_are() -> None:
    figure = curve_chart("<i>loss</i>", [Line("a < b & <b>c</b>", "#0072B2", curve(2))])
    assert figure.data[0].name == "a &lt; b &amp; &lt;b&gt;c&lt;/b&gt;"
    assert figure.layout.title.text == "&lt;i&gt;loss&lt;/i&gt;"
