"""Whatever a foreign log says, every reader reads it, and every chart and table made of it has bounds."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plotly.io.json import to_json_plotly
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from benchmarks.event_files import framed, version
from recformer.errors import StoreError
from recformer.logs.axis import Axis, clock_of
from recformer.logs.best import best_values, log_fault, loss_points, overfitting
from recformer.logs.bounds import LARGEST, LATEST_S
from recformer.logs.details import read_whole
from recformer.logs.panels import panels
from recformer.logs.series import Curve
from recformer.run.overview import list_runs
from recformer.run.paths import Root
from recformer.ui.home.log_figures import Figures
from recformer.ui.home.runs_table import column_names, frame_of, row_of
from recformer.ui.monitor.curves_view import AXES
from recformer.ui.monitor.log_details import histogram_chart
from recformer.ui.shared.curve_chart import Line, Mark, curve_chart
from tests.effort import examples
from tests.log_files import event, read, simple, start, tensor

MOST_TICKS = 50
STEPS = st.sampled_from([0, 1, 2, 3, -1, -100_000, 2**53, 2**62, 2**62 + 1, -(2**63), 2**63 - 1]) | st.integers(0, 30)
TIMES = st.sampled_from([0.0, 1.7e9, 1.7e9 + 1, 1.7e9 + 9e6, 1.7e12, 20231114221320.0, -1.0, 1e300]) | st.floats()
VALUES = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 5.0, -5.0, 1e16, 1e16 + 2, 1e-320, 1e300]) | st.floats()
TAGS = st.sampled_from(["loss/train", "loss/validation", "metric/ndcg@10", "epoch", "lr"]) | st.text(max_size=8)
NAMES = st.sampled_from(["1725245582.h", "20231114221320.h", "1725245582000", "9" * 100, "-1", "x", ""])
FOLDERS = st.sampled_from(["", "", "train", "validation", "a/b/c/d", "loss", os.fsdecode(b"\xff")])


@st.composite
def records(draw: st.DrawFn, steps: st.SearchStrategy[int]) -> bytes:
    step, wall, tag, value = draw(steps), draw(TIMES), draw(TAGS), draw(VALUES)
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return framed(start(step, wall))
    if kind == 1:
        limits, counts = draw(st.lists(VALUES, max_size=4)), draw(st.lists(VALUES, max_size=4))
        histogram = HistogramProto(min=value, max=draw(VALUES), bucket_limit=limits, bucket=counts)
        return framed(event(step, wall, Summary.Value(tag=tag, histo=histogram)))
    return framed(event(step, wall, tensor(tag, value, 2) if kind > 5 else simple(tag, np.float32(value).item())))


@st.composite
def logs(draw: st.DrawFn) -> dict[tuple[str, str], list[bytes]]:
    """The records of each file, by folder and end of its name."""
    steps = draw(st.sampled_from([STEPS, st.integers(-100_000, 0), st.integers(0, 12), st.just(0)]))
    files = st.tuples(FOLDERS, NAMES)
    return draw(st.dictionaries(files, st.lists(records(steps), max_size=40), min_size=1, max_size=3))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs())
def test_a_foreign_log_is_read_and_shown_within_bounds(log: dict[tuple[str, str], list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name, np.errstate(all="ignore"):
        root = Root(Path(name))
        for (folder, file), content in log.items():
            (root.run("foreign") / folder).mkdir(parents=True, exist_ok=True)
            path = root.run("foreign") / folder / f"events.out.tfevents.{file}"
            path.write_bytes(version(1.7e9) + b"".join(content))
        curves = read(root.run("foreign")).scalars()
        assert_curves_are_sane(curves)
        assert_table_is_sane(root, curves)
        if curves:
            assert_charts_are_sane(curves)
        assert_histograms_are_sane(root.run("foreign"))


def assert_curves_are_sane(curves: dict[str, Curve]) -> None:
    for tag, curve in curves.items():
        tag.encode()
        assert len(curve.step) == len(curve.wall_time) == len(curve.value) > 0
        assert (curve.step[1:] > curve.step[:-1]).all()
        known = curve.wall_time[~np.isnan(curve.wall_time)]
        assert ((known >= 0) & (known < LATEST_S)).all()


def assert_table_is_sane(root: Root, curves: dict[str, Curve]) -> None:
    runs, damaged = list_runs(root)
    assert (len(runs), damaged) == (1, [])
    assert 0 <= runs[0].created < LATEST_S
    figures = Figures(best_values(curves, None), loss_points(curves), log_fault(curves))
    assert all(abs(value) <= LARGEST for value in [*figures.best.values(), *figures.loss])
    rows = [row_of(runs[0], figures)]
    frame = frame_of(rows, column_names(rows))
    pa.Table.from_pandas(frame)
    assert frame["begun"].notna().all()


def assert_charts_are_sane(curves: dict[str, Curve]) -> None:
    for per_epoch in (None, 185.0):
        clock = clock_of(curves, per_epoch)
        for number, (title, tags) in enumerate(panels(curves).items()):
            if number == 3:  # all are drawn by one function; the first have the tags that it treats apart
                break
            lines = [Line(tag, "#0072B2", curves[tag], clock=clock, best=3) for tag in tags]
            spoilt = overfitting(curves[tags[0]], curves[tags[-1]])
            marks = [Mark("started", 1, clock.began)]
            for axis in AXES:
                for log_axis in (False, True):
                    options: dict[str, Any] = {"axis": axis, "log_axis": log_axis, "marks": marks}
                    since = spoilt.since if spoilt else None
                    chart = curve_chart(title, lines, smoothing=0.5, shade_from=since, **options)
                    assert isinstance(chart, dict)
                    assert_axes_are_bounded(chart, axis)


def assert_axes_are_bounded(chart: dict[str, Any], axis: Axis) -> None:
    json.loads(to_json_plotly(chart).encode())
    layout = chart["layout"]
    for name in ("xaxis", "yaxis"):
        shown = layout[name]
        values = [value for trace in chart["data"] for value in numbers(trace[name[0]])]
        assert all(abs(value) <= LARGEST for value in values if not math.isnan(value))
        low, high = shown.get("range", [min(values, default=0.0), max(values, default=1.0)])
        assert math.isfinite(high - low) or math.isnan(high - low)
        if "range" in shown:
            assert low < high
        if isinstance(shown.get("dtick"), int | float):
            finite = [value for value in values if not math.isnan(value)]
            assert (max(finite) - min(finite)) / shown["dtick"] <= MOST_TICKS
        if shown.get("dtick") == "D2":
            positive = [value for value in values if value > 0]
            assert 3 * math.log10(max(positive) / min(positive)) <= MOST_TICKS
    for shape in layout["shapes"]:
        assert not (np.isnat(shape["x0"]) if isinstance(shape["x0"], np.datetime64) else math.isnan(shape["x0"]))


def numbers(values: Any) -> Iterator[float]:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        assert np.isnat(array).all() or array[~np.isnat(array)].max() < np.datetime64("2101")
        return iter(())
    return iter(array.astype(np.float64).tolist())


def assert_histograms_are_sane(folder: Path) -> None:
    try:
        details = read_whole(folder)
    except StoreError:
        return
    for histogram in details.histograms:
        figure = histogram_chart(histogram, "#0072B2")
        [heat] = figure.data
        assert np.isfinite(heat.y).all() and np.isfinite(heat.z).all()
