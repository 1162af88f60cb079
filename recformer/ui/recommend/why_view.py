"""Why this movie? What each movie of the input window does for one recommendation, as bars and in words."""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from recformer.ui.shared.words import plain

HELP = (
    "Each movie of the input window is left out in turn (the window then begins with one empty place more), and the "
    "model is asked again. A bar to the right: with that movie the recommendation is likelier than without it. "
    "Click a card above to ask about another movie."
)


def bars(advice: Mapping[str, Any], place: int, names: list[str], colours: list[str]) -> str:
    """Markup of one bar a model for the window's movie at `place`, with window_editor.css somewhere on the page."""
    lifts = [abs(reason["lift"]) for model in advice["models"] for reason in model["why"]["reasons"]]
    longest = max(lifts, default=0.0) or 1.0
    rows = [
        _bar(name, model["why"], model["why"]["reasons"][place], colour, longest)
        for model, name, colour in zip(advice["models"], names, colours, strict=True)
    ]
    return "".join(rows)


def _bar(name: str, why: Mapping[str, Any], reason: Mapping[str, Any], colour: str, longest: float) -> str:
    width = 50 * abs(reason["lift"]) / longest
    left = 50 if reason["lift"] > 0 else 50 - width
    before, after = why["rank"], reason["rank_without"]
    rank = "rank stays" if before == after else f"rank {before:,} → {after:,}"
    return (
        f'<div class="why-bar"><div class="track" role="img" aria-label="{escape(name)}: {effect(reason["lift"])}">'
        f'<i style="left:{left:.1f}%;width:{width:.1f}%;background:{colour}"></i><b></b></div>'
        f'<span class="says">{effect(reason["lift"])} · {rank}</span></div>'
    )


def effect(lift: float) -> str:
    """What a movie does to another's probability, as a factor: "×2.0", "÷1.5"."""
    factor = math.exp(abs(lift))
    if factor < 1.005:
        return "×1"
    shown = f"{factor:.2f}" if factor < 1.1 else f"{factor:.2g}" if factor < 10 else f"{factor:,.0f}"
    return f"{'×' if lift > 0 else '÷'}{shown}"


def show_why(advice: Mapping[str, Any], names: list[str], colours: list[str]) -> None:
    """A sentence a model: which movie of the window speaks for the recommendation most."""
    st.markdown(f"**Why {plain(advice['why']['title'])}?**", help=HELP)
    lines = [
        # The run's colour beside its name; Streamlit's own Markdown knows a few colours only.
        f'<span style="color:{colour}">&#9632;</span> **{plain(name)}** {in_words(model["why"])}'
        for model, name, colour in zip(advice["models"], names, colours, strict=True)
    ]
    st.markdown("  \n".join(lines), unsafe_allow_html=True)


def in_words(why: Mapping[str, Any]) -> str:
    """One sentence about the movie of the window that does most, as Markdown."""
    now = f"ranks it {why['rank']:,} at {_percent(why['score'])}"
    reasons = why["reasons"]
    if not reasons:
        return f"{now}; the window is empty, so nothing in it speaks for or against it."
    best = max(reasons, key=lambda reason: reason["lift"])
    if best["lift"] > 0:
        return f"{now}. *{plain(best['title'])}* speaks for it most: {_without(best)}."
    worst = min(reasons, key=lambda reason: reason["lift"])
    most = f"*{plain(worst['title'])}* speaks against it most: {_without(worst)}"
    return f"{now}. Nothing in the window speaks for it; {most}."


def _without(reason: Mapping[str, Any]) -> str:
    return f"without it, rank {reason['rank_without']:,} at {_percent(reason['score_without'])}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"
