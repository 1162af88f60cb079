"""Charts of what the losses do to repeated movies, as pure functions of the demonstration."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from recformer.ui.shared.charts import quiet
from recformer.ui.shared.palette import OKABE_ITO, REFERENCE

if TYPE_CHECKING:  # it computes with torch, which a page loads only when it needs it
    from recformer.loss.demonstration import Demonstration


def push_chart(shown: "Demonstration") -> go.Figure:
    """What each loss adds to cross-entropy's gradient at the repeated movies: a group of bars a movie."""
    figure = go.Figure()
    for name, colour in _colours(shown).items():
        if name != "cross_entropy":
            figure.add_trace(
                go.Bar(
                    x=[f"repeated movie {place}" for place in range(1, len(shown.repeats) + 1)],
                    y=shown.effects[name].beyond,
                    name=name,
                    marker={"color": colour},
                    hovertemplate="%{y:.3f}",
                )
            )
    quiet(figure, "Push against repeats, beyond cross-entropy's", "", legend=True)
    figure.update_yaxes(title="gradient", zeroline=True, exponentformat="none")
    return figure


def mass_chart(shown: "Demonstration") -> go.Figure:
    """The probability on the repeated movies over steps of gradient descent: one line a loss."""
    figure = go.Figure()
    for name, colour in _colours(shown).items():
        mass = shown.effects[name].mass
        figure.add_trace(
            go.Scatter(
                x=list(range(len(mass))),
                y=mass,
                name=name,
                mode="lines",
                # One of two equal lines is dashed, so that both are seen.
                line={"color": colour, "width": 2, "dash": "dash" if name == "argmax_penalty" else "solid"},
                hovertemplate="%{y:.3f}",
            )
        )
    quiet(figure, "Probability on the repeats", "steps of gradient descent", legend=True)
    figure.update_yaxes(rangemode="tozero", exponentformat="none")
    return figure


def _colours(shown: "Demonstration") -> dict[str, str]:
    """Loss to colour; cross-entropy, which the others are measured by, comes first and is grey."""
    others = [name for name in sorted(shown.effects) if name != "cross_entropy"]
    colours = {name: OKABE_ITO[place % len(OKABE_ITO)] for place, name in enumerate(others)}
    return {"cross_entropy": REFERENCE} | colours
