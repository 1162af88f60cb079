"""The worked example of the losses, and its charts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from recformer.loss.demonstration import LOGITS, STEPS, TARGET, WINDOW, Demonstration, demonstrate
from recformer.registry import LOSSES
from recformer.ui.compare.loss_view import mass_chart, push_chart
from recformer.ui.shared.palette import REFERENCE


@pytest.fixture(scope="module")
def shown() -> Demonstration:
    return demonstrate()


def test_it_shows_every_registered_loss_from_the_same_start(shown: Demonstration) -> None:
    assert sorted(shown.effects) == LOSSES.names()
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum()
    start = probabilities[list(WINDOW)].sum()
    assert start == pytest.approx(0.803, abs=5e-4)
    for effect in shown.effects.values():
        assert effect.mass[0] == pytest.approx(start)
        assert effect.mass.shape == (STEPS + 1,)
        assert effect.gradient.shape == effect.beyond.shape == (3,)


def test_cross_entropys_gradient_at_a_repeat_is_its_probability(shown: Demonstration) -> None:
    assert TARGET not in WINDOW
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum()
    assert shown.effects["cross_entropy"].gradient == pytest.approx(probabilities[list(WINDOW)])


def test_the_articles_penalty_does_exactly_what_cross_entropy_does(shown: Demonstration) -> None:
    plain, article = shown.effects["cross_entropy"], shown.effects["argmax_penalty"]
    assert np.array_equal(article.gradient, plain.gradient)
    assert np.array_equal(article.mass, plain.mass)
    assert not article.beyond.any()
    assert not plain.beyond.any()


@pytest.mark.parametrize("name", ["soft_penalty", "unlikelihood"])
def test_a_penalty_that_trains_pushes_every_repeat_down_and_faster(name: str, shown: Demonstration) -> None:
    plain, effect = shown.effects["cross_entropy"], shown.effects[name]
    assert (effect.beyond > 0).all()
    assert effect.gradient == pytest.approx(plain.gradient + effect.beyond)
    assert (effect.mass[1:] < plain.mass[1:]).all()


def test_masked_softmax_leaves_the_repeats_alone(shown: Demonstration) -> None:
    effect = shown.effects["masked_softmax"]
    assert not effect.gradient.any()
    assert effect.beyond == pytest.approx(-shown.effects["cross_entropy"].gradient)
    assert (effect.mass[1:] > shown.effects["cross_entropy"].mass[1:]).all()


def traces(figure: Any) -> Iterator[tuple[str, list[float]]]:
    return ((trace.name, list(trace.y)) for trace in figure.data)


def test_the_charts_draw_what_was_computed(shown: Demonstration) -> None:
    lines = dict(traces(mass_chart(shown)))
    assert sorted(lines) == LOSSES.names()
    bars = dict(traces(push_chart(shown)))
    assert sorted(bars) == [name for name in LOSSES.names() if name != "cross_entropy"]
    for name, effect in shown.effects.items():
        assert lines[name] == effect.mass.tolist()
        assert name == "cross_entropy" or bars[name] == effect.beyond.tolist()
    colours = [trace.line.color for trace in mass_chart(shown).data]
    assert colours[0] == REFERENCE
    assert len(set(colours)) == len(colours)


def test_the_view_draws_both_charts() -> None:
    def page() -> None:
        from recformer.ui.compare.loss_view import show_losses

        show_losses()

    app = AppTest.from_function(page).run(timeout=60)
    assert not app.exception
    assert len(app.get("bidi_component")) == 2
    assert "exactly 0" in app.markdown[0].value
