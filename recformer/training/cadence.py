"""Which steps of an epoch are logged, and after which of them the model is validated: pure functions of the step, so
that a resumed run logs and validates at the same ones."""

import math

POINTS = 200  # an epoch, and a few more in the first
DENSE_EPOCHS = 5


def is_logged(epoch: int, step: int, steps: int) -> bool:
    """Whether the `step`th (1 to `steps`) step of `epoch` (the first is 0) is logged.

    Evenly some 200 an epoch and the last one; of the first epoch also 1, 2, 4, 8 and so on, so that a curve begins with
    the training. From one five epochs to the next the steps lie further apart (200, 100, 67 an epoch …): 600 epochs
    have some 5,000 points, not 120,000.
    """
    apart = math.ceil(steps / POINTS) * (1 + epoch // DENSE_EPOCHS)
    return step % apart == 0 or step == steps or (epoch == 0 and step.bit_count() == 1)


def validation_steps(every: float, steps: int) -> frozenset[int]:
    """The steps of an epoch after which the model is validated before the epoch's end, each `every` (a share) of it.

    >>> sorted(validation_steps(0.25, 100))
    [25, 50, 75]
    """
    parts = math.floor(1 / every + 1e-9)  # 1 / 0.1 may be rounded either way
    return frozenset(round(part * every * steps) for part in range(1, parts + 1)) & frozenset(range(1, steps))
