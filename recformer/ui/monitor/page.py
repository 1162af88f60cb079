"""The Monitor page's parts: which runs, their status, curves and logs, refreshed by one fragment while they work."""

import time
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from recformer.errors import RecformerError
from recformer.jobs.launch import LOG_FILE
from recformer.jobs.queue import lines
from recformer.logs.files import newest
from recformer.run.job_records import Status
from recformer.run.overview import DamagedRun, RunSummary, active_runs, find_run, labels_of
from recformer.run.printed import tail
from recformer.ui.monitor.curves_view import ShownRun, show_curves
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.palette import run_styles
from recformer.ui.shared.run_actions import compare_link, run_actions, stop_button
from recformer.ui.shared.selection import pick_many
from recformer.ui.shared.words import STATE_MARKS, duration, memory, message_of, number, plain

REFRESH_S = 2
LATELY_S = 120.0  # how long the log of a foreign run is watched after its last point, or its folder before the first
TILE_PX = 106  # eight in a row on a laptop
LAST_LINES = 6
OVERVIEW = ["Epoch", "Training loss", "Best NDCG@10", "Samples/s", "Time left"]
OVERVIEW_HEAD = f"| Run | State | {' | '.join(OVERVIEW)} |"
MOST_RUNS = 12  # more lines in one chart nobody can tell apart
LINES = 200
SEARCHED = 20_000  # lines from the end


def asked_for_damaged(damaged: list[DamagedRun]) -> bool:
    """Name the runs that the URL asks for and whose records cannot be read; whether it asks for no other run."""
    asked, broken = st.query_params.get_all("run"), {run.run_id: run for run in damaged}
    for run_id in asked:
        if run_id in broken:
            words = f"{run_id} cannot be shown: {broken[run_id].reason}. Its checkpoints are untouched."
            st.error(plain(words), icon=":material/error:")
    others = [run_id for run_id in asked if run_id not in broken]
    if others and len(others) < len(asked):
        st.query_params["run"] = others
    return bool(asked) and not others


def pick_runs(runs: list[RunSummary]) -> list[ShownRun]:
    """The runs to watch, kept in the URL, a running one first; and beside them what can be done."""
    if not runs:
        return []
    ordered = sorted(runs, key=lambda run: (not run.state.active, run.labels.archived))
    known, labels = {run.run_id: run for run in ordered}, labels_of(runs)
    asked = st.query_params.get_all("run")
    if len(asked) > MOST_RUNS:
        st.warning(f"The link names {len(asked)} runs; the first {MOST_RUNS} are shown.", icon=":material/link_off:")
        st.query_params["run"] = asked[:MOST_RUNS]
    several = len(st.session_state.get("monitor.run", st.query_params.get_all("run"))) > 1
    place, actions = st.columns([3, 1] if several else [1, 2], vertical_alignment="center")
    with place:
        chosen = pick_many(
            "Runs",
            list(known),
            "run",
            key="monitor.run",
            suggested=[ordered[0].run_id],
            show=lambda run_id: labels.get(run_id, run_id),
            label_visibility="collapsed",
            placeholder="Choose a run, or several to overlay",
            max_selections=MOST_RUNS,
        )
    if not chosen:
        st.info("Choose a run above.", icon=":material/monitoring:")
        return []
    # Outside of what polls: it must not be drawn anew under an open menu.
    with actions:
        if len(chosen) == 1:
            run_actions(known[chosen[0]], monitor=False)
        else:
            compare_link([known[run_id] for run_id in chosen])
    if len(chosen) == 1:
        _labels(known[chosen[0]])
    styles = run_styles(runs, chosen)
    return [ShownRun(known[run_id], labels[run_id], style) for run_id, style in zip(chosen, styles, strict=True)]


def _labels(run: RunSummary) -> None:
    """What people said about the run."""
    tags = " ".join(f":gray-badge[{plain(tag)}]" for tag in run.labels.tags)
    archived = ":gray-badge[:material/archive: archived]" if run.labels.archived else ""
    if run.labels.note or tags or archived:
        st.markdown(f"{tags} {archived} :gray[{plain(run.labels.note)}]")


@st.fragment(run_every=REFRESH_S)
def live(shown: list[ShownRun]) -> None:
    """The runs' view, drawn again every two seconds; the page stops polling when all of them have ended."""
    with guard():
        if not moves(show(shown)):
            st.rerun()


def show(shown: list[ShownRun]) -> list[ShownRun]:
    """Status, curves and log of one run, or of several beside one another; what was found of them just now."""
    with st.container():  # however much is said here, the charts keep their place, and with it their zoom
        fresh = [found for entry in shown if (found := _as_of_now(entry)) is not None]
        if len(fresh) == 1:
            _status(fresh[0].run)
        elif fresh:
            _overview(fresh)
    if not fresh:
        return fresh
    show_curves(fresh)
    show_log({entry.run.run_id: entry.label for entry in fresh})
    return fresh


def _as_of_now(shown: ShownRun) -> ShownRun | None:
    """The run as its records say now; None, with a word, where they cannot be read or are gone."""
    try:
        return replace(shown, run=find_run(readers.root(), shown.run.run_id))
    except RecformerError as error:
        st.warning(f"{plain(shown.label)}: {message_of(error)}", icon=":material/warning:")
        return None


def moves(shown: list[ShownRun]) -> bool:
    """Whether any of the runs may change without anybody's doing: at work, or written by who keeps no record of it."""
    return any(entry.run.state.active or (entry.run.status is None and _grew_lately(entry.run)) for entry in shown)


def _grew_lately(run: RunSummary) -> bool:
    folder = readers.root().run(run.run_id)
    written = newest(folder)
    if written is None:
        with suppress(OSError):
            written = folder.stat().st_mtime
    return written is not None and abs(time.time() - written) < LATELY_S


def _overview(shown: list[ShownRun]) -> None:
    """Several runs' figures as a table, the state of each in its own row."""
    rows = [OVERVIEW_HEAD, "|---|---|--:|--:|--:|--:|--:|"]
    for entry in shown:
        tiles = {} if entry.run.status is None else _tiles(entry.run, entry.run.status)
        figures = " | ".join(tiles.get(label, "–") for label in OVERVIEW)
        rows.append(f"| {plain(entry.label)} | {STATE_MARKS[entry.run.state.name]} | {figures} |")
    st.markdown("\n".join(rows))


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
    if run.state.name in ("failed", "lost") and (words := tail(readers.root().run(run.run_id) / LOG_FILE, LAST_LINES)):
        st.caption("The last lines of its log:")
        st.code(words, language=None)
    if status is None:
        return
    if status.message and run.state.name != "failed":
        st.info(plain(status.message), icon=":material/info:")
    if status.steps:
        st.progress(min(status.step / status.steps, 1.0), text=f"step {status.step:,} of {status.steps:,}")
    with st.container(horizontal=True):
        for label, value in _tiles(run, status).items():
            if run.state.active or value != "–":  # what has ended gets no more figures
                st.metric(label, value, width=TILE_PX)
        label, value, help_text = _device(status, run.state.active)
        st.metric(label, value, width=TILE_PX, help=help_text)


def _tiles(run: RunSummary, status: Status) -> dict[str, str]:
    return {
        "Epoch": f"{status.epoch} of {status.num_epochs}",
        "Time left": duration(status.eta_s) if run.state.active else "–",
        "Samples/s": number(status.samples_per_s),
        "Training loss": number(status.loss),
        "Learning rate": number(status.metrics.get("lr")),
        "Best NDCG@10": number(((run.best or {}).get("metrics") or {}).get("metric/ndcg@10")),
        "Memory": memory(status.memory_bytes),
    }


def _device(status: Status, active: bool) -> tuple[str, str, str | None]:
    """How busy the run's device is while it works; which device it was, once it has ended."""
    load = next((load for load in readers.loads() if load.device == status.device), None) if active else None
    if load is None or load.share is None:
        return "Device", status.device, None
    name = "CPU" if load.device == "cpu" else load.device
    used = f"{memory(load.memory_used)} of {memory(load.memory_total)}"
    return f"{name} busy", f"{100 * load.share:.0f}%", f"{load.name}, memory {used}, other programs included."


def _place(run: RunSummary) -> str:
    """Where a waiting run stands in its queue, and behind whom."""
    if run.state.name != "queued":
        return ""
    ids = [other.run_id for other in active_runs(readers.root())]
    line = next((line for line in lines(readers.root(), among=ids).values() if run.run_id in line.waiting), None)
    if line is None:  # its turn has come meanwhile
        return ""
    place = line.waiting.index(run.run_id)
    labels = labels_of(readers.runs()[0])
    ahead = [labels[other] for other in (*line.running, *line.waiting[:place])]
    return f" Place {place + 1}" + (f", behind {plain(', '.join(ahead))}." if ahead else ".")


def show_log(labels: dict[str, str]) -> None:
    """The log of one of several runs, `labels` by id; the first unless another is chosen."""
    with st.expander("Log", icon=":material/article:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            run_id = next(iter(labels))
            if len(labels) > 1:
                run_id = st.selectbox("Log of", list(labels), format_func=labels.__getitem__, key="log.run", width=240)
            words = st.text_input(
                "Filter",
                key="log.filter",
                placeholder="error",
                icon=":material/search:",
                width=240,
                help="Shows the lines that hold all of these words, upper or lower case.",
            )
        path = readers.root().run(run_id) / LOG_FILE
        if words.strip():
            text, otherwise = "\n".join(matching(tail(path, SEARCHED), words)), f"No line holds {words.strip()}."
        else:
            text, otherwise = tail(path, LINES), "This run has written no log."
        st.code(text or otherwise, language=None, height=320 if text else "content")


def matching(text: str, words: str) -> list[str]:
    """The last 200 lines that hold all words, whatever their case."""
    wanted = words.lower().split()
    return [line for line in text.split("\n") if all(word in line.lower() for word in wanted)][-LINES:]
