"""The losses compared where it can be seen: what one worked example's gradients do to repeated items."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from recformer.ui.shared.charts import quiet
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.palette import OKABE_ITO, REFERENCE

if TYPE_CHECKING:  # it computes with torch, which a page loads only when it needs it
    from recformer.loss.demonstration import Demonstration


def show_losses() -> None:
    """Both charts of the demonstration, with what they say in words."""
    st.markdown(
        "Eight items, of which three are the latest and score highest. `argmax_penalty`, the article's, adds a "
        "gradient of exactly 0 and so falls together with `cross_entropy`; `soft_penalty` and `unlikelihood` push the "
        "repeats down. `masked_softmax` takes them out of training: it leaves their scores alone, so it is for lists "
        "that mask them too."
    )
    shown = _demonstration()
    left, right = st.columns(2)
    show_live(left, push_chart(shown), "losses.push")
    show_live(right, mass_chart(shown), "losses.mass")


@st.cache_data(show_spinner=False)
def _demonstration() -> "Demonstration":
    from recformer.loss.demonstration import demonstrate

    return demonstrate()


def push_chart(shown: "Demonstration") -> go.Figure:
    """What each loss adds to cross-entropy's gradient at the repeated items: a group of bars a item."""
    figure = go.Figure()
    items = [f"repeated item {place}" for place in range(1, len(shown.repeats) + 1)]
    for name, colour in _colours(shown).items():
        if name != "cross_entropy":
            beyond = shown.effects[name].beyond
            figure.add_bar(x=items, y=beyond, name=name, marker={"color": colour}, hovertemplate="%{y:.3f}")
    quiet(figure, "Push against repeats, beyond cross-entropy's", "", legend=True)
    return figure.update_yaxes(title="gradient", zeroline=True, exponentformat="none")


def mass_chart(shown: "Demonstration") -> go.Figure:
    """The probability on the repeated items over steps of gradient descent: one line a loss."""
    figure = go.Figure()
    for name, colour in _colours(shown).items():
        mass = shown.effects[name].mass
        # One of two equal lines is dashed, so that both are seen.
        line = {"color": colour, "width": 2, "dash": "dash" if name == "argmax_penalty" else "solid"}
        steps = list(range(len(mass)))
        figure.add_scatter(x=steps, y=mass, name=name, mode="lines", line=line, hovertemplate="%{y:.3f}")
    quiet(figure, "Probability on the repeats", "steps of gradient descent", legend=True)
    return figure.update_yaxes(rangemode="tozero", exponentformat="none")


def _colours(shown: "Demonstration") -> dict[str, str]:
    """Loss to colour; cross-entropy, which the others are measured by, comes first and is grey."""
    others = [name for name in sorted(shown.effects) if name != "cross_entropy"]
    colours = {name: OKABE_ITO[place % len(OKABE_ITO)] for place, name in enumerate(others)}
    return {"cross_entropy": REFERENCE} | colours
