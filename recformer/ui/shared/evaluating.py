"""Evaluations in the background: one worker for all sessions, which goes on when the page is left."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.data.split.base import Part
from recformer.data.ties import TimeTies
from recformer.data.user_sample import UserSample
from recformer.errors import RecformerError
from recformer.evaluation.ranks import RECENT
from recformer.run.model_ref import ModelRef
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard, show_fault
from recformer.ui.shared.words import plain

if TYPE_CHECKING:
    from recformer.evaluation.evaluate import Pending
    from recformer.evaluation.table import Evaluation

POLL_S = 0.5
PATIENCE_S = 1.0  # below it nothing is shown
MOST_KEPT = 32  # evaluations, more than a page shows in memory; a hundred thousand cases are 30 MB
Label = Callable[[ModelRef], str]
"""A model to the name people know it by."""


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
        self._kept: dict[str, Evaluation] = {}

    def ask(self, key: str, what: str, compute: Callable[[Callable[[int, int], None]], Any]) -> Work:
        """The work called `key`, begun now if it is not under way. `compute` takes a function to report progress to."""
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
        for work in self.look([key]):
            if (error := work.future.exception()) is not None:
                raise error.with_traceback(None)  # raised again and again, it would gather traces
        self.forget(key)

    def forget(self, key: str) -> None:
        """Compute this anew when it is asked for again."""
        with self._lock:
            self._work.pop(key, None)

    def stored(self, entry: "Pending") -> "Evaluation | None":
        """The evaluation from the rank store, kept in memory until the model changes; None where there is none."""
        with self._lock:
            kept = self._kept.get(entry.key)
        found = kept or entry.stored()
        if found is not None and kept is None:
            self.keep(entry.key, found)
        return found

    def keep(self, key: str, evaluation: "Evaluation") -> None:
        with self._lock:
            self._kept[key] = evaluation
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]


@st.cache_resource(show_spinner=False)
def evaluator() -> Evaluator:
    """The one worker of this app."""
    return Evaluator()


def pending(
    models: Sequence[ModelRef],
    data: Dataset,
    split: str,
    part: Part,
    recent: int = RECENT,
    time_ties: TimeTies = "file",
    sample: UserSample | None = None,
) -> "dict[ModelRef, Pending | RecformerError]":
    """What evaluating each model on a part of a split means, or why it cannot be done."""
    from recformer.evaluation.evaluate import Task, pending_all, split_of

    return pending_all(readers.root(), models, Task(data, split_of(split, time_ties), part, recent, sample))


def usable(entries: "Mapping[ModelRef, Pending | RecformerError]", label: Label) -> "dict[ModelRef, Pending]":
    """What can be evaluated; what cannot is named with its reason, and the others are shown all the same."""
    found: dict[ModelRef, Pending] = {}
    for model, entry in entries.items():
        if isinstance(entry, RecformerError):
            leave_out(label(model), entry)
        else:
            found[model] = entry
    return found


def already_stored(entries: "Mapping[ModelRef, Pending]") -> "dict[ModelRef, Evaluation]":
    """Those of the evaluations that need not be computed."""
    found = {model: evaluator().stored(entry) for model, entry in entries.items()}
    return {model: evaluation for model, evaluation in found.items() if evaluation is not None}


def evaluated(entries: "Mapping[ModelRef, Pending]", label: Label) -> "dict[ModelRef, Evaluation] | None":
    """Evaluations from the rank store, the missing ones computed in the background first.

    None while that goes on: how far it is then stands on the page, which is drawn again in the end. What fails is named
    with its reason and left out.
    """
    there = already_stored(entries)
    missing = {model: entry for model, entry in entries.items() if model not in there}
    for model, entry in missing.items():
        evaluator().ask(entry.key, label(model), partial(_compute, entry))
    keys = [entry.key for entry in missing.values()]
    if not evaluator().wait(keys, PATIENCE_S):
        _watch(keys)
        return None
    for model, entry in missing.items():
        try:
            evaluator().take(entry.key)
        except RecformerError as error:
            leave_out(label(model), error)
            if st.button("Try again", key=f"again.{entry.key}", icon=":material/refresh:"):
                evaluator().forget(entry.key)
                st.rerun()
    found = already_stored(entries)
    refused = next((evaluation.not_kept for evaluation in found.values() if evaluation.not_kept), "")
    if refused:
        st.warning(f"These figures are shown, but not kept: {plain(refused)}", icon=":material/warning:")
    return found


def _compute(entry: "Pending", show: Callable[[int, int], None]) -> None:
    evaluation = entry.computed(progress=show)
    if evaluation.not_kept:  # what the disk refused to keep is shown all the same
        evaluator().keep(entry.key, evaluation)


def leave_out(label: str, error: RecformerError) -> None:
    """Name a model that cannot be evaluated, and why."""
    show_fault(error, f"{plain(label)} is left out: ")


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
