"""The Monitor page's parts: status, curves and log of one run, refreshed by one fragment while it is active."""

from pathlib import Path

import streamlit as st

from recformer.jobs.launch import LOG_FILE
from recformer.jobs.overview import DamagedRun, RunSummary, find_run
from recformer.jobs.queue import lines
from recformer.jobs.tail import tail
from recformer.logs.series import Curve
from recformer.ui import readers
from recformer.ui.charts import Lines, curve_chart
from recformer.ui.frame import guard
from recformer.ui.palette import OKABE_ITO, REFERENCE, run_colours
from recformer.ui.run_actions import run_actions, stop_button
from recformer.ui.run_views import label_of
from recformer.ui.selection import pick_one
from recformer.ui.words import STATE_MARKS, duration, memory, number, plain

REFRESH_S = 2
LAST_WORDS = 6
# One chart each, in this order; whatever else a log holds comes after.
PANELS = {
    "Loss": ["loss/train", "loss/validation"],
    "Ranking on validation, history masked": ["metric/ndcg@10", "metric/hr@10", "metric/mrr@10"],
    "Duplication in the raw top 10": ["duplication/window@10"],
    "Learning rate": ["lr"],
    "Windows per second": ["throughput/samples_per_s"],
}


def asked_for_damaged(damaged: list[DamagedRun]) -> bool:
    """Whether the URL asks for a run whose records cannot be read; which one and why is then shown."""
    asked = [run for run in damaged if run.run_id in st.query_params.get_all("run")]
    for run in asked:
        words = f"{run.run_id} cannot be shown: {run.reason}. Mend or remove that file; its checkpoints are untouched."
        st.error(plain(words), icon=":material/error:")
    return bool(asked)


def pick_run(runs: list[RunSummary]) -> RunSummary | None:
    """The run to watch, kept in the URL, a running one first; and beside it what can be done with it."""
    if not runs:
        return None
    ordered = sorted(runs, key=lambda run: (not run.state.active, run.labels.archived))
    place, actions = st.columns([1, 2], vertical_alignment="center")
    chosen = pick_one(
        place,
        "Run",
        [run.run_id for run in ordered],
        "run",
        key="monitor.run",
        show=lambda run_id: label_of(runs, run_id),
        label_visibility="collapsed",
    )
    run = next(run for run in runs if run.run_id == chosen)
    # Outside of what polls: it must not be drawn anew under an open menu.
    with actions:
        run_actions(run, monitor=False)
    _labels(run)
    return run


def _labels(run: RunSummary) -> None:
    """What people said about the run."""
    tags = " ".join(f":gray-badge[{plain(tag)}]" for tag in run.labels.tags)
    archived = ":gray-badge[:material/archive: archived]" if run.labels.archived else ""
    if run.labels.note or tags or archived:
        st.markdown(f"{tags} {archived} :gray[{plain(run.labels.note)}]")


@st.fragment(run_every=REFRESH_S)
def live(run_id: str) -> None:
    """The run's view, drawn again every two seconds; the page stops polling when the run has ended."""
    with guard():
        if not show(run_id).state.active:
            st.rerun()


def show(run_id: str) -> RunSummary:
    """Status, curves and log of a run."""
    run = find_run(readers.root(), run_id)
    _status(run)
    _curves(run)
    log = tail(_log_file(run), 200)
    with st.expander("Log", icon=":material/article:"):
        st.code(log or "This run has written no log.", language=None, height=320 if log else "content")
    return run


def _status(run: RunSummary) -> None:
    status = run.status
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.markdown(f"{STATE_MARKS[run.state.name]} {plain(run.state.words)}{_place(run)}")
    if run.state.active:
        with right:
            stop_button(run)
    if run.state.stalled:
        st.warning(
            "The process lives but has not reported for a while; its log below may tell why.", icon=":material/warning:"
        )
    if run.state.name in ("failed", "lost") and (words := tail(_log_file(run), LAST_WORDS)):
        st.caption("The last lines of its log:")
        st.code(words, language=None)
    if status is None:
        return
    if status.message and run.state.name != "failed":
        st.info(plain(status.message), icon=":material/info:")
    if status.steps:
        st.progress(min(status.step / status.steps, 1.0), text=f"step {status.step:,} of {status.steps:,}")
    figures = [
        ("Epoch", f"{status.epoch} of {status.num_epochs}"),
        ("Training loss", number(status.loss)),
        ("Windows/s", number(status.samples_per_s)),
        ("Time left", duration(status.eta_s) if run.state.active else "–"),
        ("Best NDCG@10", number((status.best or {}).get("metric/ndcg@10"))),
        ("Memory", memory(status.memory_bytes)),
        ("Device", status.device),
    ]
    with st.container(horizontal=True):
        for label, value in figures:
            st.metric(label, value, width=115)


def _place(run: RunSummary) -> str:
    """Where a waiting run stands in its queue, and behind whom."""
    if run.state.name != "queued":
        return ""
    line = next((line for line in lines(readers.root()).values() if run.run_id in line.waiting), None)
    if line is None:  # its turn has come meanwhile
        return ""
    place = line.waiting.index(run.run_id)
    ahead = [label_of(readers.runs()[0], other) for other in (*line.running, *line.waiting[:place])]
    return f" Place {place + 1}" + (f", behind {plain(', '.join(ahead))}." if ahead else ".")


def _log_file(run: RunSummary) -> Path:
    return readers.root().run(run.run_id) / LOG_FILE


def _curves(run: RunSummary) -> None:
    curves = readers.curves(run.run_id)
    if not curves:
        st.caption("No curve yet: the first point comes at the end of the first epoch.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.99,
            0.0,
            key="smoothing",
            bind="query-params",
            width=240,
            help="Moving average over epochs, as TensorBoard's slider does it. 0 shows what was logged.",
        )
        log_axis = st.toggle("Logarithmic axis", key="log_axis", bind="query-params")
    colour = run_colours(readers.runs()[0])[run.run_id]
    panels = [(title, [tag for tag in tags if tag in curves]) for title, tags in PANELS.items()]
    known = {tag for tags in PANELS.values() for tag in tags}
    panels += [(tag, [tag]) for tag in sorted(curves) if tag not in known]
    shown = [(title, tags) for title, tags in panels if tags]
    for start in range(0, len(shown), 2):
        for column, (title, tags) in zip(st.columns(2), shown[start : start + 2], strict=False):
            figure = curve_chart(title, _lines(tags, curves, colour), smoothing=smoothing, log_axis=log_axis)
            column.plotly_chart(figure, key=f"curve.{run.run_id}.{title}")


def _lines(tags: list[str], curves: dict[str, Curve], colour: str) -> Lines:
    """The run's colour where it is one curve; validation and training differ by dash as well."""
    if tags == PANELS["Loss"][: len(tags)]:
        return [
            (tag.split("/")[1], colour if tag == "loss/validation" else REFERENCE, "solid", curves[tag]) for tag in tags
        ]
    colours = [colour, *(other for other in OKABE_ITO if other != colour)]
    dashes = ["solid", "dash", "dot"]
    return [
        (tag.split("/", 1)[-1], colours[position % len(colours)], dashes[position % 3], curves[tag])
        for position, tag in enumerate(tags)
    ]
