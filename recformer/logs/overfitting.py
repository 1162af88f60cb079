"""Whether a run has begun to learn its training data by heart."""

from dataclasses import dataclass

import numpy as np

from recformer.logs.bounds import is_number
from recformer.logs.series import Curve

LEAST_RISE = 0.01  # of the lowest validation loss; less is noise
RECENT = 3  # the median of so many last points stands for where the run is now: one bad epoch is no trend


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
