"""What a list of runs shows of their logs: kept while a log stays as it is, and read in the background where many are
new."""

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from recformer.errors import StoreError
from recformer.files.stamps import Stamp, settled, stamp, stamp_of
from recformer.logs.best import best_values, log_fault, loss_points
from recformer.logs.by_step import by_epoch
from recformer.logs.files import find_event_files
from recformer.logs.reader import INDEX_FILE, RunLog
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.frame import set_aside

AT_ONCE = 50  # new logs that a page waits for; the others are read in the background


@dataclass(frozen=True)
class Figures:
    """What a list of runs shows of a run's log: figures of the best epoch by tag, and the loss as a few points."""

    best: dict[str, float]
    loss: list[float]
    fault: str | None = None
    """What is wrong with the log: it cannot be read, or the run has diverged."""


@dataclass(frozen=True)
class _Kept:
    """Figures, and what tells whether they still hold."""

    run: RunSummary
    files: dict[Path, Stamp | None]
    """The log's event files."""
    settled: bool
    """Whether every later change of them gives other stamps."""
    figures: Figures


class RunFigures:
    """The figures of all runs, for any number of threads."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}
        self._later: list[tuple[Path, RunSummary]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def of(self, runs: list[RunSummary]) -> tuple[list[Figures], int]:
        """The figures of each run, and of how many of them the log is still to be read; those of a new log are of the
        record beside the best checkpoint alone."""
        pairs = [(readers.root().run(run.run_id), run) for run in runs]
        found = [self._still(folder, run) for folder, run in pairs]
        missing = [place for place, figures in enumerate(found) if figures is None]
        for place in missing[:AT_ONCE]:
            found[place] = self._read(*pairs[place])
        later = [pairs[place] for place in missing[AT_ONCE:]]
        with self._lock:
            self._later = later[::-1]
            if later and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="figures", daemon=True)
                self._thread.start()
        return [figures or _recorded(run) for figures, run in zip(found, runs, strict=True)], len(later)

    def busy(self) -> bool:
        """Whether logs are being read in the background."""
        with self._lock:
            return self._thread is not None

    def _still(self, folder: Path, run: RunSummary) -> Figures | None:
        """The figures that were read before, where they still hold."""
        before = self._kept.get(folder)
        if before is None or not before.settled or run.state.active or before.run.best != run.best:
            return None
        # A run is another object where its folder has changed: in the same one no file came or went.
        same = before.run is run and all(file.parent == folder for file in before.files)
        files = {file: stamp(file) for file in before.files} if same else _event_files(folder)
        if files != before.files:
            return None
        if before.run is not run:
            self._kept[folder] = replace(before, run=run)
        return before.figures

    def _read(self, folder: Path, run: RunSummary, *, may_keep: bool = True) -> Figures:
        """What the log says now. One that has changed is likely to grow on, so that its reader is kept from then on; of
        thousands of runs that have ended nothing more is read."""
        before = self._kept.get(folder)
        files = _event_files(folder)  # before they are read: what comes in between is noticed the next time
        figures = _figures(run, folder, keep_reader=may_keep and before is not None)
        if before is not None and before.figures == figures:
            figures = before.figures
        self._kept[folder] = _Kept(run, files, settled(files.values()), figures)
        return figures

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._later:
                    set_aside()
                    self._thread = None
                    return
                folder, run = self._later.pop()
            self._read(folder, run, may_keep=False)


@st.cache_resource(show_spinner=False)
def run_figures() -> RunFigures:
    """The one memory of figures of this app."""
    return RunFigures()


def _figures(run: RunSummary, folder: Path, keep_reader: bool) -> Figures:
    """A run's figures. Where its log cannot be read, they are those of the record alone: one bad file takes no list
    away."""
    try:
        if keep_reader:
            log = readers.log(run.run_id)
        else:
            log = RunLog(folder, folder / INDEX_FILE)
            log.refresh()
        curves = by_epoch(log.scalars())
    except StoreError as error:
        return replace(_recorded(run), fault=error.on_page)
    except Exception:  # whatever a foreign log holds, the other runs stay in the table
        logging.getLogger(__name__).exception("The log of %s cannot be read", run.run_id)
        return replace(_recorded(run), fault="Its log cannot be read. What the reader met stands on the app's terminal")
    fault = log_fault(curves) or next(iter(log.left_out), None)
    return Figures(best_values(curves, run.best), loss_points(curves), fault)


def _recorded(run: RunSummary) -> Figures:
    return Figures(best_values({}, run.best), [])


def _event_files(folder: Path) -> dict[Path, Stamp | None]:
    try:
        folders = find_event_files(folder).folders
    except OSError:
        return {}
    return {folder / name / file: stamp_of(stat) for name, files in folders.items() for file, stat in files.items()}
