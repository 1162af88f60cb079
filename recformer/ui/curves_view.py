"""The curves of one run or of several, by tag: the controls above, the charts, and what else there is to know."""

from dataclasses import dataclass, replace
from typing import cast

import plotly.graph_objects as go
import streamlit as st

from recformer.errors import StoreError
from recformer.jobs.overview import RunSummary
from recformer.logs.axis import AS_LOGGED, TITLES, Axis, Clock, clock_of, relative_unit
from recformer.logs.overfitting import Overfitting, overfitting
from recformer.logs.panels import panels, part_of
from recformer.logs.series import Curve
from recformer.ui import readers
from recformer.ui.curve_chart import Line, Mark, curve_chart
from recformer.ui.live_chart import show_live
from recformer.ui.palette import OKABE_ITO, REFERENCE
from recformer.ui.run_events import best_step, marks_of
from recformer.ui.words import plain

AXES: list[Axis] = ["epoch", "step", "relative", "wall"]
DASHES = ["solid", "dash", "dot", "dashdot"]
MOST_AT_ONCE = 60  # hundreds would bring a browser to its knees; "Find curves" leads to the others
MOST_PANELS = 12  # what more there is comes when it is asked for


@dataclass(frozen=True)
class Shown:
    """A run whose curves are drawn."""

    run: RunSummary
    label: str
    colour: str


@dataclass(frozen=True)
class _Drawn:
    shown: Shown
    curves: dict[str, Curve]
    clock: Clock
    marks: list[Mark]


@dataclass(frozen=True)
class _Look:
    axis: Axis
    x_title: str
    smoothing: float
    log_axis: bool


def show_curves(runs: list[Shown]) -> None:
    """A chart for each tag, all runs in it; the first run's events and overfitting are marked."""
    drawn = [entry for run in runs if (entry := _drawn(run)) is not None]
    if not drawn:
        coming = any(run.run.state.active for run in runs)
        st.caption(
            "No curve yet: the first point comes at the end of the first epoch." if coming else "No curve in this log."
        )
        _damage(runs)
        return
    unit_s, _ = relative_unit(_longest_s(drawn))
    drawn = [replace(entry, clock=replace(entry.clock, unit_s=unit_s)) for entry in drawn]
    spoilt = _overfitting(drawn[0]) if len(drawn) == 1 else None
    if spoilt is not None:
        unit = "epoch" if drawn[0].clock.steps_per_epoch is not None else "step"
        st.markdown(
            f":orange-badge[:material/trending_up: Overfitting since {unit} {spoilt.since}] :gray[:small["
            f"validation loss is {100 * spoilt.rise:.1f}% above its lowest, while training loss fell on. "
            "The best checkpoint is kept.]]"
        )
    look, words = _controls(drawn)
    shown = panels({tag for entry in drawn for tag in entry.curves})
    if len(drawn) > 1:
        shown = _one_tag_each(shown)
    if words:
        shown = {title: tags for title, tags in shown.items() if _matches(words, title, tags)}
        if not shown:
            st.caption(f"No curve is called {plain(words)}.")
    titles = list(shown)
    if len(titles) > MOST_PANELS:
        more = min(len(titles), MOST_AT_ONCE)
        label = f"Show all {more} charts" if more == len(titles) else f"Show {more} of {len(titles):,} charts"
        titles = titles[: more if st.toggle(label, key="all_charts", bind="query-params") else MOST_PANELS]
    for start in range(0, len(titles), 2):
        for column, title in zip(st.columns(2), titles[start : start + 2], strict=False):
            show_live(column, _chart(title, shown[title], drawn, look, spoilt), title)
    _notes(drawn)
    _damage(runs)


def _drawn(shown: Shown) -> _Drawn | None:
    try:
        log = readers.log(shown.run.run_id)
    except StoreError as error:  # one bad log takes no other curve away
        st.warning(f"{plain(shown.label)}: {plain(str(error))}", icon=":material/warning:")
        return None
    curves = log.scalars()
    if not curves:
        return None
    status = shown.run.status
    per_epoch = status.steps / status.num_epochs if status is not None and status.steps and status.num_epochs else None
    return _Drawn(shown, curves, clock_of(curves, per_epoch), marks_of(shown.run, log, curves))


def _controls(drawn: list[_Drawn]) -> tuple[_Look, str]:
    """How the curves are drawn, and which: kept in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = cast(
            Axis,
            st.segmented_control(
                "Horizontal axis",
                AXES,
                default="epoch",
                required=True,
                key="axis",
                bind="query-params",
                help="epoch or optimizer step; relative: hours since each run began; wall: the date.",
            ),
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.99,
            0.0,
            key="smoothing",
            bind="query-params",
            width=200,
            help="Moving average over epochs, as TensorBoard's slider does it; what was logged stays faintly behind. "
            "0 shows what was logged.",
        )
        many = len({tag for entry in drawn for tag in entry.curves}) > 8
        words = (
            st.text_input(
                "Find curves",
                key="curves",
                bind="query-params",
                width=200,
                placeholder="loss",
                icon=":material/search:",
            )
            if many or "curves" in st.query_params
            else ""
        )
        log_axis = st.toggle("Logarithmic", key="log_axis", bind="query-params")
    return _Look(axis, _x_title(axis, drawn), smoothing, log_axis), words.strip()


def _x_title(axis: Axis, drawn: list[_Drawn]) -> str:
    if axis == "relative":
        return f"{relative_unit(_longest_s(drawn))[1]} {TITLES[axis]}"
    known = axis == "wall" or all(entry.clock.knows_epochs for entry in drawn)
    return TITLES[axis] if known else AS_LOGGED


def _longest_s(drawn: list[_Drawn]) -> float:
    """How long the longest of the runs has been logging."""
    return max(float(curve.wall_time[-1]) - entry.clock.began for entry in drawn for curve in entry.curves.values())


def _one_tag_each(shown: dict[str, list[str]]) -> dict[str, list[str]]:
    """Charts of one tag each, for several runs: but training and validation of the same stay together."""
    found: dict[str, list[str]] = {}
    for title, tags in shown.items():
        parted = any(part_of(tag) for tag in tags)
        found |= {title: tags} if parted or len(tags) == 1 else {tag: [tag] for tag in tags}
    return found


def _matches(words: str, title: str, tags: list[str]) -> bool:
    names = " ".join([title, *tags]).lower()
    return all(word in names for word in words.lower().split())


def _chart(title: str, tags: list[str], drawn: list[_Drawn], look: _Look, spoilt: Overfitting | None) -> go.Figure:
    lines = [line for entry in drawn for line in _lines(entry, tags, alone=len(drawn) == 1)]
    alone = len(drawn) == 1
    return curve_chart(
        title,
        lines,
        axis=look.axis,
        x_title=look.x_title,
        smoothing=look.smoothing,
        log_axis=look.log_axis,
        marks=drawn[0].marks if alone else (),
        mark_words="loss" in title.lower(),
        shade_from=spoilt.since if spoilt is not None and set(_losses(drawn[0].curves)) <= set(tags) else None,
    )


def _lines(entry: _Drawn, tags: list[str], *, alone: bool) -> list[Line]:
    """A run's lines of one chart. Several runs differ by colour, the tags of one chart by dash as well."""
    there = [tag for tag in tags if tag in entry.curves]
    parted = any(part_of(tag) == "train" for tag in tags) and len(tags) > 1
    found: list[Line] = []
    for tag in there:
        place = tags.index(tag)
        training = parted and part_of(tag) == "train"
        colour, dash = entry.shown.colour, DASHES[place % len(DASHES)]
        if parted:
            dash = "dot" if training else "solid"
            colour = REFERENCE if alone and training else colour
        elif alone and place:
            colour = [other for other in OKABE_ITO if other != colour][(place - 1) % (len(OKABE_ITO) - 1)]
        alike = sum(part_of(other) == part_of(tag) for other in there) > 1
        name = part_of(tag) if parted and not alike else tag if parted else tag.split("/", 1)[-1]
        label = name if alone else f"{entry.shown.label} · {name}" if training or alike else entry.shown.label
        if parted and alike:
            dash = DASHES[place % len(DASHES)]
        star = None if training or tag == "lr" or tag.startswith("throughput/") else best_step(entry.shown.run)
        found.append(
            Line(
                label,
                colour,
                entry.curves[tag],
                dash,
                entry.clock,
                star,
                legend=alone or not training or len(there) == 1,
            )
        )
    return found


def _overfitting(entry: _Drawn) -> Overfitting | None:
    pair = _losses(entry.curves)
    return overfitting(entry.curves[pair[0]], entry.curves[pair[1]]) if len(pair) == 2 else None


def _losses(curves: dict[str, Curve]) -> list[str]:
    """The training and the validation loss among the tags, the first of each; empty where one is missing."""
    for title, tags in panels(curves).items():
        parts = {part_of(tag): tag for tag in reversed(tags)}
        if "loss" in title.lower() and {"train", "validation"} <= parts.keys():
            return [parts["train"], parts["validation"]]
    return []


def _notes(drawn: list[_Drawn]) -> None:
    """What the curves alone do not say."""
    if any(best_step(entry.shown.run) is not None for entry in drawn):
        dotted = " Dotted: training; solid: validation." if len(drawn) > 1 else ""
        st.caption(f"★ marks the epoch of the best checkpoint.{dotted}")


def _damage(runs: list[Shown]) -> None:
    """Which places of which logs are left out."""
    for entry in runs:
        try:
            damaged = readers.log(entry.run.run_id).damaged
        except StoreError:  # said already
            continue
        if damaged:
            places = "; ".join(f"{path.name} at byte {offset:,}" for path, offset in damaged[:5])
            count = "1 damaged place" if len(damaged) == 1 else f"{len(damaged)} damaged places"
            st.caption(
                f":orange[:material/warning:] {plain(entry.label)}: {count} in its log left out, all else is "
                f"shown ({plain(places)}{' …' if len(damaged) > 5 else ''})."
            )
