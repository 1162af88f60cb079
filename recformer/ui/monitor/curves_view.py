"""The curves of one run or of several, by tag: the controls above, the charts, and what else there is to know."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.errors import StoreError, count
from recformer.logs.axis import AS_LOGGED, TITLES, Axis, Clock, clock_of, relative_unit
from recformer.logs.best import overfitting
from recformer.logs.bounds import finite, known_stamp
from recformer.logs.by_step import in_epochs
from recformer.logs.panels import panels, part_of
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.curve_chart import Line, Mark, curve_chart
from recformer.ui.shared.frame import in_columns
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.palette import OKABE_ITO, REFERENCE, Style
from recformer.ui.shared.words import message_of, plain

AXES: list[Axis] = ["epoch", "step", "relative", "wall"]
DASHES = ["solid", "dash", "dot", "dashdot"]
SOLID_FIRST = ["solid", "dash", "dashdot"]  # dotted is training
MOST_AT_ONCE = 60  # hundreds would bring a browser to its knees; "Find curves" leads to the others
MOST_PANELS = 12  # what more there is comes when it is asked for
MOST_RESUMES = 20  # more marks of them are a grey wall; the latest tell
MOST_DETAILS = 5


@dataclass(frozen=True)
class ShownRun:
    """A run whose curves are drawn."""

    run: RunSummary
    label: str
    style: Style


@dataclass(frozen=True)
class _Drawn:
    """A run with its curves."""

    run: RunSummary
    label: str
    style: Style
    curves: dict[str, Curve]
    behind: dict[str, Curve]
    """What is drawn faintly behind a curve of the same tag."""
    clock: Clock
    marks: list[Mark]
    alone: bool
    """Whether no other run is drawn."""


def show_curves(runs: list[ShownRun]) -> None:
    """A chart for each tag, all runs in it; the first run's events and overfitting are marked."""
    notes = st.container()  # always there: a chart that moves on the page would lose its zoom
    with notes:
        drawn = [entry for run in runs if (entry := _drawn(run)) is not None]
    if drawn:
        _show_charts(drawn, notes)
        if any(best_epoch(entry.run) is not None for entry in drawn):
            dotted = " Dotted: training; solid: validation." if len(drawn) > 1 else ""
            st.caption(f"★ marks the epoch of the best checkpoint.{dotted}")
    _show_damage(runs)


def _drawn(shown: ShownRun) -> _Drawn | None:
    """The run with its curves; None, with a word, where there are none."""
    try:
        log = readers.log(shown.run.run_id)
    except StoreError as error:  # one bad log takes no other curve away
        st.warning(f"{plain(shown.label)}: {message_of(error)}", icon=":material/warning:")
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
    clock, marks = clock_of(curves, per_epoch), _marks(shown.run, log, curves)
    return _Drawn(shown.run, shown.label, shown.style, curves, behind, clock, marks, alone=True)


def _marks(run: RunSummary, log: RunLog, curves: dict[str, Curve]) -> list[Mark]:
    """Started, each time it was resumed, and stopped, failed or lost; on an axis of steps between those it lies in."""
    began, first = min(map(_begin, curves.values()), key=lambda begin: begin[0])
    marks = [_mark("started", first, began)]
    marks += [_mark("resumed", step - 0.5, wall) for step, wall in log.resumed[-MOST_RESUMES:] if wall > began]
    status = run.status
    if run.state.name in ("stopped", "failed", "lost") and status is not None:
        per_epoch = status.steps / status.num_epochs if status.num_epochs else 0
        step = status.step / per_epoch if per_epoch else float(max(curve.step[-1] for curve in curves.values()))
        marks.append(_mark(run.state.name, step, status.time))
    return marks


def _begin(curve: Curve) -> tuple[float, int]:
    """When a curve's first point was logged, as far as that is known, and its step."""
    known = curve.wall_time[~np.isnan(curve.wall_time)]
    return float(known[0]) if len(known) else math.inf, int(curve.step[0])


def _mark(word: str, step: float, wall_time: float) -> Mark:
    known = known_stamp(wall_time)
    when = "" if known is None else datetime.fromtimestamp(known).strftime(" %d %b %Y, %H:%M")
    return Mark(word, step, math.nan if known is None else known, f"{word}{when}")


def best_epoch(run: RunSummary) -> float | None:
    """How many epochs were trained until the best checkpoint, where the run's records tell."""
    best, status = run.best or {}, run.status
    epoch, step = finite(best.get("epoch")), finite(best.get("step")) or 0.0
    if epoch is None or run.imported:
        return None
    return epoch + (step / status.steps * status.num_epochs if step and status is not None and status.steps else 0.0)


def _show_charts(drawn: list[_Drawn], notes: DeltaGenerator) -> None:
    unit_s, alone = relative_unit(_longest_s(drawn)), len(drawn) == 1
    drawn = [replace(entry, clock=replace(entry.clock, unit_s=unit_s), alone=alone) for entry in drawn]
    losses = _losses(drawn[0].curves) if alone else []
    spoilt = overfitting(*(drawn[0].curves[tag] for tag in losses)) if losses else None
    if spoilt is not None:
        unit = "epoch" if drawn[0].clock.steps_per_epoch is not None else "step"
        notes.markdown(
            f":orange-badge[:material/trending_up: Overfitting since {unit} {round(spoilt.since, 2):,g}] :gray[:small["
            f"validation loss is {100 * spoilt.rise:.1f}% above its lowest, while training loss fell on. "
            "The best checkpoint is kept.]]"
        )
    tags = {tag for entry in drawn for tag in entry.curves}
    look, words = _controls(drawn, many=len(tags) > 8)
    shown = _panels(tags, words, alone)
    titles = list(shown)
    if len(titles) > MOST_PANELS:
        more = min(len(titles), MOST_AT_ONCE)
        label = f"Show all {more} charts" if more == len(titles) else f"Show {more} of {len(titles):,} charts"
        titles = titles[: more if st.toggle(label, key="all_charts", bind="query-params") else MOST_PANELS]
    for column, title in in_columns(titles):
        chart = curve_chart(
            title,
            [line for entry in drawn for line in _lines(entry, shown[title])],
            marks=drawn[0].marks if alone else (),
            mark_words="loss" in title.lower(),
            shade_from=spoilt.since if spoilt is not None and set(losses) <= set(shown[title]) else None,
            **look,
        )
        show_live(column, chart, title)


def _controls(drawn: list[_Drawn], many: bool) -> tuple[dict[str, Any], str]:
    """How the curves are drawn, as `curve_chart` takes it, and words that name some of many: kept in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Horizontal axis",
            AXES,
            default="epoch",
            required=True,
            key="axis",
            bind="query-params",
            help="epoch or optimizer step; relative: hours since each run began; wall: the date.",
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
        words = ""
        if many or "curves" in st.query_params:
            words = st.text_input(
                "Find curves",
                key="curves",
                bind="query-params",
                width=200,
                placeholder="loss",
                icon=":material/search:",
            )
        log_axis = st.toggle("Logarithmic", key="log_axis", bind="query-params")
    axis = cast("Axis", chosen)
    if axis == "relative":
        x_title = f"{drawn[0].clock.unit_name} {TITLES[axis]}"
    else:
        known = axis == "wall" or all(entry.clock.knows_epochs for entry in drawn)
        x_title = TITLES[axis] if known else AS_LOGGED
    return {"axis": axis, "x_title": x_title, "smoothing": smoothing, "log_axis": log_axis}, words.strip()


def _longest_s(drawn: list[_Drawn]) -> float:
    """How long the longest of the runs has been logging, as far as that is known."""
    lengths = [
        float(np.fmax.reduce(curve.wall_time)) - entry.clock.began for entry in drawn for curve in entry.curves.values()
    ]
    return max((length for length in lengths if not np.isnan(length)), default=0.0)


def _panels(tags: set[str], words: str, alone: bool) -> dict[str, list[str]]:
    """Title to tags of each chart whose names hold all the words. Several runs have a chart for each tag, but training
    and validation of the same stay together."""
    shown: dict[str, list[str]] = {}
    for title, group in panels(tags).items():
        together = alone or len(group) == 1 or _has_training(group)
        shown |= {title: group} if together else {tag: [tag] for tag in group}
    wanted = words.lower().split()
    found = {
        title: group
        for title, group in shown.items()
        if all(word in " ".join([title, *group]).lower() for word in wanted)
    }
    if not found:
        st.caption(f"No curve is called {plain(words)}.")
    return found


def _lines(entry: _Drawn, tags: list[str]) -> list[Line]:
    """A run's lines of one chart."""
    draw = _line_of_part if _has_training(tags) else _line_of_tag
    lines = {tag: replace(draw(entry, tag, tags), width=entry.style.width) for tag in tags if tag in entry.curves}
    behind = [
        replace(lines[tag], curve=curve, dash="solid", width=1.0, pale=True)
        for tag, curve in entry.behind.items()
        if tag in lines
    ]
    return [*lines.values(), *behind]


def _has_training(tags: list[str]) -> bool:
    """Whether a chart sets training beside something else."""
    return len(tags) > 1 and any(part_of(tag) == "train" for tag in tags)


def _line_of_tag(entry: _Drawn, tag: str, tags: list[str]) -> Line:
    """Tags of one chart differ by dash and, of a run alone, by colour."""
    place, own = tags.index(tag), entry.style.colour
    others = [colour for colour in OKABE_ITO if colour != own]
    colour = others[(place - 1) % len(others)] if entry.alone and place else own
    label = tag.split("/", 1)[-1] if entry.alone else entry.label
    star = None if tag == "lr" or tag.startswith("throughput/") else best_epoch(entry.run)
    return Line(label, colour, entry.curves[tag], DASHES[place % len(DASHES)], entry.clock, star)


def _line_of_part(entry: _Drawn, tag: str, tags: list[str]) -> Line:
    """Training is dotted, of a run alone grey as well; what it was validated on is solid, then dashed."""
    part = part_of(tag)
    alike = [other for other in tags if part_of(other) == part]  # val and test, say, are both for validation
    name = part if part and len(alike) == 1 else tag
    label = name if entry.alone else f"{entry.label} · {name}"
    if part == "train":
        colour = REFERENCE if entry.alone else entry.style.colour
        only = all(part_of(other) == "train" for other in tags if other in entry.curves)
        return Line(label, colour, entry.curves[tag], "dot", entry.clock, legend=entry.alone or only)
    label = entry.label if name == part and not entry.alone else label
    dash = SOLID_FIRST[alike.index(tag) % len(SOLID_FIRST)]
    return Line(label, entry.style.colour, entry.curves[tag], dash, entry.clock, best_epoch(entry.run))


def _losses(curves: Iterable[str]) -> list[str]:
    """The training and the validation loss among the tags, the first of each; empty where one is missing."""
    for title, tags in panels(curves).items():
        parts = {part_of(tag): tag for tag in reversed(tags)}
        if "loss" in title.lower() and {"train", "validation"} <= parts.keys():
            return [parts["train"], parts["validation"]]
    return []


def _show_damage(runs: list[ShownRun]) -> None:
    """Which places and files of which logs are left out."""
    for entry in runs:
        try:
            log = readers.log(entry.run.run_id)
        except StoreError:  # said already
            continue
        places = [f"{path.name} at byte {offset:,}" for path, offset in log.damaged]
        lost = f"{count(len(places), 'damaged place')} in its log left out, all else is shown"
        for words, details in ((lost, places), ("not all of its log is read", log.left_out)):
            if details:
                some = "; ".join(details[:MOST_DETAILS]) + (" …" if len(details) > MOST_DETAILS else "")
                st.caption(f":orange[:material/warning:] {plain(entry.label)}: {words} ({plain(some)}).")
