"""Histograms as a heatmap: values are shared out between common bins, and none is lost."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recformer.logs.details import Histogram
from recformer.ui.monitor.log_details import BINS, histogram_chart, rebinned


def made(*steps: tuple[list[float], list[float]]) -> Histogram:
    """A histogram of (edges, counts) a step."""
    edges, counts = zip(*steps, strict=True)
    return Histogram(
        "w", np.arange(len(steps)), [np.array(e) for e in edges], [np.array(c) for c in counts], len(steps)
    )


def test_values_lie_evenly_in_their_bucket() -> None:
    edges, shares = rebinned(made(([0, 2, 4], [4, 12])), bins=4)
    assert edges.tolist() == [0, 1, 2, 3, 4]
    assert shares.tolist() == [[0.125, 0.125, 0.375, 0.375]]


def test_steps_of_different_edges_share_their_bins_and_empty_ends_are_cut() -> None:
    edges, shares = rebinned(made(([-9, 0, 1], [0, 2]), ([1, 2, 9], [5, 0])), bins=2)
    assert edges.tolist() == [0, 1, 2]
    assert shares.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_one_value_alone_lies_in_the_middle(value: float) -> None:
    edges, shares = rebinned(made(([value, value], [7])), bins=5)
    assert edges[0] < value < edges[-1]
    assert shares.tolist() == [[0, 0, 1, 0, 0]]


def test_a_step_without_values_is_empty() -> None:
    assert rebinned(made(([0, 1], [0])), bins=2)[1].tolist() == [[0, 0]]
    assert rebinned(made(([0, 1], [0]), ([0, 2], [1])), bins=2)[1].tolist() == [[0, 0], [0.5, 0.5]]


@given(
    arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e6, 1e6)),
    st.data(),
)
def test_no_value_is_lost(edges: Any, data: st.DataObject) -> None:
    counts = data.draw(arrays(np.float64, len(edges) - 1, elements=st.integers(0, 1000).map(float)))
    _, shares = rebinned(Histogram("w", np.array([1]), [np.sort(edges)], [counts], 1))
    assert shares.shape == (1, BINS)
    assert shares.min() >= 0
    assert shares.sum() == pytest.approx(1.0 if counts.any() else 0.0, abs=1e-6)


def test_the_chart_has_a_column_a_step_and_a_row_a_bin() -> None:
    figure = histogram_chart(made(([0, 1], [1]), ([1, 2], [1])), "#0072B2")
    (heat,) = figure.data
    assert list(heat.x) == [0, 1]
    assert np.array(heat.z).shape == (BINS, 2)
    assert list(heat.colorscale[0]) == [0, "rgba(0,114,178,0)"]
    assert list(heat.colorscale[-1]) == [1, "rgba(0,114,178,1)"]
    assert figure.layout.title.text == "w"
