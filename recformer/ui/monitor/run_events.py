"""What happened to a run, as marks for its curves: when it started, was resumed, and how it ended."""

import math
from datetime import datetime

import numpy as np

from recformer.logs.bounds import finite, known_stamp
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.run.overview import RunSummary
from recformer.ui.shared.curve_chart import Mark

ENDS = ("stopped", "failed", "lost")
MOST_RESUMES = 20  # more of them are a grey wall; the latest tell


def marks_of(run: RunSummary, log: RunLog, curves: dict[str, Curve]) -> list[Mark]:
    """Started, each time it was resumed, and stopped, failed or lost; on an axis of steps between those it lies in."""
    began, first = min((_begin(curve) for curve in curves.values()), key=lambda begin: begin[0])
    marks = [_mark("started", first, began)]
    marks += [_mark("resumed", step - 0.5, wall) for step, wall in log.resumed[-MOST_RESUMES:] if wall > began]
    status = run.status
    if run.state.name in ENDS and status is not None:
        per_epoch = status.steps / status.num_epochs if status.num_epochs else 0
        step = status.step / per_epoch if per_epoch else float(max(curve.step[-1] for curve in curves.values()))
        marks.append(_mark(run.state.name, step, status.time))
    return marks


def best_epoch(run: RunSummary) -> float | None:
    """How many epochs were trained until the best checkpoint, where the run's records tell."""
    best, status = run.best or {}, run.status
    epoch, step = finite(best.get("epoch")), finite(best.get("step")) or 0.0
    if epoch is None or run.imported:
        return None
    return epoch + (step / status.steps * status.num_epochs if step and status is not None and status.steps else 0.0)


def _begin(curve: Curve) -> tuple[float, int]:
    """When a curve's first point was logged, as far as that is known, and its step."""
    known = np.flatnonzero(~np.isnan(curve.wall_time))
    return (float(curve.wall_time[known[0]]), int(curve.step[0])) if len(known) else (math.inf, int(curve.step[0]))


def _mark(word: str, step: float, wall_time: float) -> Mark:
    known = known_stamp(wall_time)
    when = "" if known is None else datetime.fromtimestamp(known).strftime(" %d %b %Y, %H:%M")
    return Mark(word, step, math.nan if known is None else known, f"{word}{when}")
