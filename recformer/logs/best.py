"""A run's figures at its best epoch, from its best checkpoint's record or, where there is none, from its curves."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from recformer.logs.series import Curve

NDCG = "metric/ndcg@10"
LOSS = "loss/validation"


def best_values(curves: Mapping[str, Curve], best: Mapping[str, Any] | None) -> dict[str, float]:
    """Each tag's value at the best epoch; a tag without one there is left out.

    `best` is the record beside the best checkpoint (`best.json`): its metrics hold, and its epoch for what it does not
    name. Without metrics in it, the best epoch is where NDCG@10 is greatest, else where the loss is least.
    Example: NDCG@10 0.1, 0.3, 0.2 and loss 5, 4, 3 at epochs 1, 2, 3 give NDCG@10 0.3 and loss 4.
    """
    recorded = _numbers((best or {}).get("metrics"))
    epoch = _number((best or {}).get("epoch")) if recorded else best_step(curves)
    logged = {} if epoch is None else {tag: _value_at(curve, epoch) for tag, curve in curves.items()}
    return {tag: value for tag, value in logged.items() if value is not None} | recorded


def best_step(curves: Mapping[str, Curve]) -> int | None:
    """The step where NDCG@10 is greatest, else where the loss is least, the first of several; None without numbers."""
    for tag, sign in ((NDCG, 1), (loss_tag(curves), -1)):
        curve = curves.get(tag) if tag else None
        finite = np.flatnonzero(np.isfinite(curve.value)) if curve is not None else np.empty(0, dtype=np.int64)
        if curve is not None and len(finite):
            return int(curve.step[finite[np.argmax(sign * curve.value[finite])]])
    return None


def loss_tag(tags: Iterable[str]) -> str | None:
    """The tag of the validation loss: ours, else one that says both, else any loss; None where there is none."""
    losses = sorted(tag for tag in tags if "loss" in tag.lower())
    return min(losses, key=lambda tag: (tag != LOSS, "val" not in tag.lower()), default=None)


def _value_at(curve: Curve, epoch: float) -> float | None:
    """The last value up to `epoch` that is a number's; None where there is none, or it is NaN."""
    place = int(np.searchsorted(curve.step, epoch, side="right")) - 1
    return None if place < 0 else _number(float(curve.value[place]))


def _numbers(record: Any) -> dict[str, float]:
    if not isinstance(record, dict):
        return {}
    pairs = cast("dict[str, Any]", record).items()
    return {tag: number for tag, value in pairs if (number := _number(value)) is not None}


def _number(value: Any) -> float | None:
    """`value` where it is a number, not NaN and not too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else float(value)
    except OverflowError:
        return None


def loss_points(curves: Mapping[str, Curve], at_most: int = 40) -> list[float]:
    """The validation loss (see loss_tag) from its first to its last value, in at most so many points, for a sparkline.

    What is not finite is left out.
    """
    tag = loss_tag(tag for tag, curve in curves.items() if len(curve))
    values = curves[tag].value if tag else np.empty(0)
    finite = values[np.isfinite(values)]
    if len(finite) > at_most:
        finite = finite[np.arange(at_most) * (len(finite) - 1) // (at_most - 1)]
    return finite.tolist()
