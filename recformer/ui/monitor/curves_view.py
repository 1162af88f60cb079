"""The curves of one run or of several, by tag: the controls above, the charts, and what else there is to know."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import streamlit as st

from recformer.errors import StoreError
from recformer.logs.axis import AS_LOGGED, TITLES, Axis, Clock, clock_of, relative_unit
from recformer.logs.by_step import in_epochs
from recformer.logs.overfitting import overfitting
from recformer.logs.panels import panels, part_of
from recformer.logs.series import Curve
from recformer.run.overview import RunSummary
from recformer.ui.monitor.run_events import best_epoch, marks_of
from recformer.ui.shared import readers
from recformer.ui.shared.charts import Chart
from recformer.ui.shared.curve_chart import Line, Mark, curve_chart
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.palette import OKABE_ITO, REFERENCE, Style
from recformer.ui.shared.words import plain, told

AXES: list[Axis] = ["epoch", "step", "relative", "wall"]
DASHES = ["solid", "dash", "dot", "dashdot"]
SOLID_FIRST = ["solid", "dash", "dashdot"]  # dotted is training
MOST_AT_ONCE = 60  # hundreds would bring a browser to its knees; "Find curves" leads to the others
MOST_PANELS = 12  # what more there is comes when it is asked for


@dataclass(frozen=True)
class ShownRun:
    """A run whose curves are drawn."""

    run: RunSummary
    label: str
    style: Style


@dataclass(frozen=True)
class _Drawn:
    shown: ShownRun
    curves: dict[str, Curve]
    behind: dict[str, Curve]
    """What is drawn faintly behind a curve of the same tag."""
    clock: Clock
    marks: list[Mark]


@dataclass(frozen=True)
class _Look:
    axis: Axis
    x_title: str
    smoothing: float
    log_axis: bool


def show_curves(runs: list[ShownRun]) -> None:
    """A chart for each tag, all runs in it; the first run's events and overfitting are marked."""
    notes = st.container()  # always there: a chart that moves on the page would lose its zoom
    with notes:
        drawn = [entry for run in runs if (entry := _drawn(run)) is not None]
    if not drawn:
        _damage(runs)
        return
    unit_s = relative_unit(_longest_s(drawn))
    drawn = [replace(entry, clock=replace(entry.clock, unit_s=unit_s)) for entry in drawn]
    losses = _losses(drawn[0].curves) if len(drawn) == 1 else []
    spoilt = overfitting(*(drawn[0].curves[tag] for tag in losses)) if losses else None
    if spoilt is not None:
        unit = "epoch" if drawn[0].clock.steps_per_epoch is not None else "step"
        notes.markdown(
            f":orange-badge[:material/trending_up: Overfitting since {unit} {round(spoilt.since, 2):,g}] :gray[:small["
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
            tint = spoilt.since if spoilt is not None and set(losses) <= set(shown[title]) else None
            show_live(column, _chart(title, shown[title], drawn, look, tint), title)
    _notes(drawn)
    _damage(runs)


def _drawn(shown: ShownRun) -> _Drawn | None:
    try:
        log = readers.log(shown.run.run_id)
    except StoreError as error:  # one bad log takes no other curve away
        st.warning(f"{plain(shown.label)}: {told(error)}", icon=":material/warning:")
        return None
    curves, behind = log.scalars(), dict[str, Curve]()
    if not curves:
        coming = "yet: the first points come with the first steps" if shown.run.state.active else "in its log"
        st.caption(f"{plain(shown.label)} has no curve {coming}.")
        return None
    status = shown.run.status
    per_epoch = status.steps / status.num_epochs if status is not None and status.steps and status.num_epochs else None
    if per_epoch is not None:
        curves, behind = in_epochs(curves, round(per_epoch))
    return _Drawn(shown, curves, behind, clock_of(curves, per_epoch), marks_of(shown.run, log, curves))


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
            help="Moving average over the points drawn, as TensorBoard's slider does it; what was logged stays faintly "
            "behind. 0 shows what was logged.",
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
        return f"{drawn[0].clock.unit_name} {TITLES[axis]}"
    known = axis == "wall" or all(entry.clock.knows_epochs for entry in drawn)
    return TITLES[axis] if known else AS_LOGGED


def _longest_s(drawn: list[_Drawn]) -> float:
    """How long the longest of the runs has been logging, as far as that is known."""
    lengths = [
        float(np.fmax.reduce(curve.wall_time)) - entry.clock.began for entry in drawn for curve in entry.curves.values()
    ]
    return max((length for length in lengths if not np.isnan(length)), default=0.0)


def _one_tag_each(shown: dict[str, list[str]]) -> dict[str, list[str]]:
    """Charts of one tag each, for several runs: but training and validation of the same stay together."""
    found: dict[str, list[str]] = {}
    for title, tags in shown.items():
        found |= {title: tags} if _is_parted(tags) or len(tags) == 1 else {tag: [tag] for tag in tags}
    return found


def _matches(words: str, title: str, tags: list[str]) -> bool:
    names = " ".join([title, *tags]).lower()
    return all(word in names for word in words.lower().split())


def _chart(title: str, tags: list[str], drawn: list[_Drawn], look: _Look, tint: float | None) -> Chart:
    alone = len(drawn) == 1
    lines = [line for entry in drawn for line in _lines(entry, tags, alone=alone)]
    return curve_chart(
        title,
        lines,
        axis=look.axis,
        x_title=look.x_title,
        smoothing=look.smoothing,
        log_axis=look.log_axis,
        marks=drawn[0].marks if alone else (),
        mark_words="loss" in title.lower(),
        shade_from=tint,
    )


def _lines(entry: _Drawn, tags: list[str], *, alone: bool) -> list[Line]:
    """A run's lines of one chart."""
    draw = _part_line if _is_parted(tags) else _tag_line
    lines = {tag: draw(entry, tag, tags, alone) for tag in tags if tag in entry.curves}
    behind = [
        replace(lines[tag], curve=curve, dash="solid", width=1.0, pale=True)
        for tag, curve in entry.behind.items()
        if tag in lines
    ]
    return [*(replace(line, width=entry.shown.style.width) for line in lines.values()), *behind]


def _is_parted(tags: list[str]) -> bool:
    """Whether a chart sets training beside something else."""
    return len(tags) > 1 and any(part_of(tag) == "train" for tag in tags)


def _tag_line(entry: _Drawn, tag: str, tags: list[str], alone: bool) -> Line:
    """Tags of one chart differ by dash and, of a run alone, by colour; several runs have a chart for each tag."""
    place, own = tags.index(tag), entry.shown.style.colour
    others = [colour for colour in OKABE_ITO if colour != own]
    colour = others[(place - 1) % len(others)] if alone and place else own
    label = tag.split("/", 1)[-1] if alone else entry.shown.label
    star = None if tag == "lr" or tag.startswith("throughput/") else best_epoch(entry.shown.run)
    return Line(label, colour, entry.curves[tag], DASHES[place % len(DASHES)], entry.clock, star)


def _part_line(entry: _Drawn, tag: str, tags: list[str], alone: bool) -> Line:
    """Training is dotted, of a run alone grey as well; what it was validated on is solid, then dashed."""
    part = part_of(tag)
    alike = [other for other in tags if part_of(other) == part]  # val and test, say, are both for validation
    name = part if part and len(alike) == 1 else tag
    if part == "train":
        colour = REFERENCE if alone else entry.shown.style.colour
        label = name if alone else f"{entry.shown.label} · {name}"
        only = all(part_of(other) == "train" for other in tags if other in entry.curves)
        return Line(label, colour, entry.curves[tag], "dot", entry.clock, legend=alone or only)
    label = name if alone else entry.shown.label if name == part else f"{entry.shown.label} · {name}"
    dash = SOLID_FIRST[alike.index(tag) % len(SOLID_FIRST)]
    return Line(label, entry.shown.style.colour, entry.curves[tag], dash, entry.clock, best_epoch(entry.shown.run))


def _losses(curves: dict[str, Curve]) -> list[str]:
    """The training and the validation loss among the tags, the first of each; empty where one is missing."""
    for title, tags in panels(curves).items():
        parts = {part_of(tag): tag for tag in reversed(tags)}
        if "loss" in title.lower() and {"train", "validation"} <= parts.keys():
            return [parts["train"], parts["validation"]]
    return []


def _notes(drawn: list[_Drawn]) -> None:
    """What the curves alone do not say."""
    if any(best_epoch(entry.shown.run) is not None for entry in drawn):
        dotted = " Dotted: training; solid: validation." if len(drawn) > 1 else ""
        st.caption(f"★ marks the epoch of the best checkpoint.{dotted}")


def _damage(runs: list[ShownRun]) -> None:
    """Which places and files of which logs are left out."""
    for entry in runs:
        try:
            log = readers.log(entry.run.run_id)
        except StoreError:  # said already
            continue
        if log.damaged:
            places = [f"{path.name} at byte {offset:,}" for path, offset in log.damaged]
            count = "1 damaged place" if len(places) == 1 else f"{len(places)} damaged places"
            _caption(entry, f"{count} in its log left out, all else is shown", places)
        if log.left_out:
            _caption(entry, "not all of its log is read", log.left_out)


def _caption(entry: ShownRun, words: str, details: list[str]) -> None:
    said = "; ".join(details[:5]) + (" …" if len(details) > 5 else "")
    st.caption(f":orange[:material/warning:] {plain(entry.label)}: {words} ({plain(said)}).")
