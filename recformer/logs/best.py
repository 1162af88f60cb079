"""What a run's curves say of it: its metrics at its best epoch, whether it overfits, and what is wrong with its log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from recformer.logs.bounds import finite, is_number
from recformer.logs.curves import gaps
from recformer.logs.series import Curve

NDCG = "metric/ndcg@10"
LOSS = "loss/validation"
LEAST_RISE = 0.01  # of the lowest validation loss; less is noise
RECENT = 3  # the median of so many last points stands for where the run is now: one bad epoch is no trend


def best_values(curves: Mapping[str, Curve], best: Mapping[str, Any] | None) -> dict[str, float]:
    """Each tag's value at the best epoch; a tag without one there is left out.

    `best` is the record of the best checkpoint: its metrics hold, and its epoch for what it does not
    name. Without metrics in it, the best epoch is where NDCG@10 is greatest, else where the loss is least. A log with
    neither has no best epoch: of it the last values are taken.
    Example: NDCG@10 0.1, 0.3, 0.2 and loss 5, 4, 3 at epochs 1, 2, 3 give NDCG@10 0.3 and loss 4.
    """
    recorded = _numbers((best or {}).get("metrics"))
    if recorded:
        epoch = finite((best or {}).get("epoch"))
        logged = {} if epoch is None else {tag: _value_at_step(curve, epoch) for tag, curve in curves.items()}
    else:
        logged = _at_their_best(curves)
    return {tag: value for tag, value in logged.items() if value is not None} | recorded


def _at_their_best(curves: Mapping[str, Curve]) -> dict[str, float | None]:
    judge = _judge(curves)
    if judge is None:
        numbers = {tag: curve.value[is_number(curve.value)] for tag, curve in curves.items()}
        return {tag: float(values[-1]) if len(values) else None for tag, values in numbers.items()}
    curve, place = judge
    at = slice(place, place + 1)
    return {tag: _value_at(other, curve, at) for tag, other in curves.items()}


def _judge(curves: Mapping[str, Curve]) -> tuple[Curve, int] | None:
    """The curve that says which epoch is best, and which of its points does."""
    for tag, sign in ((NDCG, 1), (loss_tag(curves), -1)):
        curve = curves.get(tag) if tag else None
        there = np.flatnonzero(is_number(curve.value)) if curve is not None else np.empty(0, dtype=np.int64)
        if curve is not None and len(there):
            return curve, int(there[np.argmax(sign * curve.value[there])])
    return None


def loss_tag(tags: Iterable[str]) -> str | None:
    """The tag of the validation loss: ours, else one that says both, else any loss; None where there is none."""
    losses = sorted(tag for tag in tags if "loss" in tag.lower())
    return min(losses, key=lambda tag: (tag != LOSS, "val" not in tag.lower()), default=None)


def _value_at(curve: Curve, judge: Curve, at: slice) -> float | None:
    """A curve's value at the one point `at` of another: by step, or by time where steps of one say nothing."""
    if curve is judge or not (curve.by_time or judge.by_time):
        return _value_at_step(curve, int(judge.step[at][0]))
    before = np.flatnonzero(curve.wall_time <= judge.wall_time[at])
    return finite(float(curve.value[before[-1]])) if len(before) else None


def _value_at_step(curve: Curve, step: float) -> float | None:
    """The last value up to `step`; None where there is none, or it is no number."""
    place = int(np.searchsorted(curve.step, step, side="right")) - 1
    return None if place < 0 else finite(float(curve.value[place]))


def _numbers(record: Any) -> dict[str, float]:
    if not isinstance(record, dict):
        return {}
    pairs = cast("dict[str, Any]", record).items()
    return {tag: number for tag, value in pairs if (number := finite(value)) is not None}


def loss_points(curves: Mapping[str, Curve], at_most: int = 40) -> list[float]:
    """The validation loss (see loss_tag) from its first to its last value, in at most so many points, for a sparkline.

    What is no number is left out.
    """
    tag = loss_tag(tag for tag, curve in curves.items() if len(curve))
    values = curves[tag].value if tag else np.empty(0)
    numbers = values[is_number(values)]
    if len(numbers) > at_most:
        numbers = numbers[np.arange(at_most) * (len(numbers) - 1) // (at_most - 1)]
    return numbers.tolist()


def log_fault(curves: Mapping[str, Curve]) -> str | None:
    """What a list of runs must say of a log, whose figures and small curve leave it out; None where all is well.

    Example: a loss 5, 4, NaN, NaN at steps 1 to 4 gives "not a number since step 3 (loss)".
    """
    there = {tag: curve for tag, curve in curves.items() if len(curve)}
    for tag in (loss_tag(there), NDCG):
        if tag and tag in there and (gap := gaps(there[tag])) is not None:
            return f"{gap.words} ({tag})"
    if there and all(np.isnan(curve.wall_time).all() for curve in there.values()):
        return "no usable times"
    return None


@dataclass(frozen=True)
class Overfitting:
    """Validation got worse while training got better."""

    since: float
    """The step of the lowest validation loss."""
    rise: float
    """How far the validation loss is above its lowest by now, as a share of that."""


def overfitting(train: Curve, validation: Curve) -> Overfitting | None:
    """What two loss curves say: None unless validation has risen by 1% since its lowest while training fell.

    Validation 5, 4, 4.2, 4.4, 4.5 with training 5, 4, 3, 2, 1: overfitting since the second point, a rise of 10%
    (the median of the last three is 4.4).
    """
    numbers = is_number(validation.value)
    steps, values = validation.step[numbers], validation.value[numbers]
    if not len(values) or not len(train) or train.by_time != validation.by_time:
        return None
    lowest = int(np.argmin(values))
    if len(values) - 1 - lowest < RECENT:
        return None
    now = float(np.median(values[-RECENT:]))
    rise = (now - float(values[lowest])) / max(abs(float(values[lowest])), 1e-12)
    then = int(np.searchsorted(train.step, steps[lowest], side="right")) - 1
    fell = then >= 0 and float(np.median(train.value[-RECENT:])) < float(train.value[then])
    return Overfitting(float(steps[lowest]), rise) if rise >= LEAST_RISE and fell else None
