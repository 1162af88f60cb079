"""Evaluations in the background: one worker for all sessions, which goes on when the page is left."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from recformer.errors import RecformerError
from recformer.ui.shared import readers
from recformer.ui.shared.faults import show_fault
from recformer.ui.shared.frame import guard
from recformer.ui.shared.words import plain

if TYPE_CHECKING:
    from recformer.evaluation.evaluate import Pending
    from recformer.evaluation.table import Evaluation

POLL_S = 0.5
PATIENCE_S = 1.0  # below it nothing is shown


@dataclass
class Work:
    """One evaluation that is queued, computed, or done."""

    what: str
    """The model, as people call it."""
    done: int = 0
    """Cases."""
    total: int = 0
    future: "Future[Any]" = field(default_factory=Future[Any])

    def show(self, done: int, total: int) -> None:
        self.done, self.total = done, total


class Evaluator:
    """Computes one evaluation after the other; asked twice for the same one, computes it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")
        self._work: dict[str, Work] = {}

    def ask(self, key: str, what: str, compute: Callable[[Callable[[int, int], None]], Any]) -> Work:
        """The work called `key`, begun now if it is not under way. `compute` takes a function to tell progress to."""
        with self._lock:
            work = self._work.get(key)
            if work is None:
                work = self._work[key] = Work(what)
                work.future = self._pool.submit(compute, work.show)
            return work

    def look(self, keys: list[str]) -> list[Work]:
        """The works called `keys` that are under way or done and not yet taken."""
        with self._lock:
            return [self._work[key] for key in keys if key in self._work]

    def wait(self, keys: list[str], seconds: float) -> bool:
        """Whether all of them are done within that time."""
        return not wait([work.future for work in self.look(keys)], timeout=seconds).not_done

    def take(self, key: str) -> None:
        """Forget finished work: what it gave is in the rank store. Raises what the computation raised.

        What failed is remembered, so that it is not computed again at every redraw, until it is forgotten.
        """
        with self._lock:
            work = self._work.get(key)
        error = None if work is None else work.future.exception()
        if error is not None:
            raise error.with_traceback(None)  # raised again and again, it would gather traces
        self.forget(key)

    def forget(self, key: str) -> None:
        """Compute this anew when it is asked for again."""
        with self._lock:
            self._work.pop(key, None)


@st.cache_resource(show_spinner=False)
def evaluator() -> Evaluator:
    """The one worker of this app."""
    return Evaluator()


def computed(entries: "list[tuple[str, Pending]]") -> bool:
    """Have evaluations (label, what) computed in the background.

    True when that took less than a moment; else how far it is stands on the page, which is drawn again in the end.
    What fails is named with its reason, and the others are shown all the same.
    """
    keys = [_ask(label, entry) for label, entry in entries]
    if not evaluator().wait(keys, PATIENCE_S):
        _watch(keys)
        return False
    for (label, _), key in zip(entries, keys, strict=True):
        try:
            evaluator().take(key)
        except RecformerError as error:
            leave_out(label, error)
            if st.button("Try again", key=f"again.{key}", icon=":material/refresh:"):
                evaluator().forget(key)
                st.rerun()
    return True


def leave_out(label: str, error: RecformerError) -> None:
    """Name a model that cannot be evaluated, and why."""
    show_fault(error, f"{plain(label)} is left out: ")


def tell_not_kept(evaluations: "Iterable[Evaluation]") -> None:
    """Say once why the disk keeps none of what is shown, where it refuses some of it."""
    refused = next((evaluation.not_kept for evaluation in evaluations if evaluation.not_kept), "")
    if refused:
        st.warning(f"These figures are shown, but not kept: {plain(refused)}", icon=":material/warning:")


def _ask(label: str, entry: "Pending") -> str:
    evaluator().ask(entry.key, label, lambda show: readers.keep_unstored(entry, entry.computed(progress=show)))
    return entry.key


@st.fragment(run_every=POLL_S)
def _watch(keys: list[str]) -> None:
    with guard():
        works = evaluator().look(keys)
        if all(work.future.done() for work in works):
            st.rerun()
        st.markdown("**Evaluating** :gray[in the background; you can leave this page]")
        for work in works:
            share = work.done / work.total if work.total else float(work.future.done())
            cases = f"{work.done:,} of {work.total:,} cases" if work.total else "waiting"
            st.progress(share, text=f"{plain(work.what)}: {'done' if work.future.done() else cases}")
