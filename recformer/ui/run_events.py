"""What happened to a run, as marks for its curves: when it started, was resumed, and how it ended."""

from datetime import datetime

from recformer.jobs.overview import RunSummary
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.ui.curve_chart import Mark

ENDS = ("stopped", "failed", "lost")
MOST_RESUMES = 20  # more of them are a grey wall; the latest tell


def marks_of(run: RunSummary, log: RunLog, curves: dict[str, Curve]) -> list[Mark]:
    """Started, each time it was resumed, and stopped, failed or lost; on an axis of steps between those it lies in."""
    first = min(curves.values(), key=lambda curve: float(curve.wall_time[0]))
    began = float(first.wall_time[0])
    marks = [_mark("started", int(first.step[0]), began)]
    marks += [_mark("resumed", step - 0.5, wall) for step, wall in log.resumed[-MOST_RESUMES:] if wall > began]
    status = run.status
    if run.state.name in ENDS and status is not None:
        per_epoch = status.steps / status.num_epochs if status.num_epochs else 0
        step = status.step / per_epoch if per_epoch else float(max(curve.step[-1] for curve in curves.values()))
        marks.append(_mark(run.state.name, step, status.time))
    return marks


def best_epoch(run: RunSummary) -> int | None:
    """The epoch of the best checkpoint, where the run's records tell."""
    best = (run.status.best if run.status is not None else None) or run.best or {}
    epoch = best.get("epoch")
    return int(epoch) if isinstance(epoch, int | float) and not run.imported else None


def _mark(word: str, step: float, wall_time: float) -> Mark:
    try:
        when = datetime.fromtimestamp(wall_time).strftime(" %d %b %Y, %H:%M")
    except (ValueError, OverflowError, OSError):  # a log may say anything
        when = ""
    return Mark(word, step, wall_time, f"{word}{when}")
