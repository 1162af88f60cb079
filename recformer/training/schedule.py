"""What depends on epoch and step alone: the learning rate, which steps are logged, after which the model is validated.

Pure functions, so that a resumed run does the same at the same steps and keeps no scheduler state.
"""

import math

from recformer.config import TrainConfig

POINTS = 200  # an epoch, and a few more in the first
DENSE_EPOCHS = 5


def learning_rate(config: TrainConfig, epoch: int, share: float) -> float:
    """Learning rate after `share` (0 to 1) of an epoch, the first being 0.

    cosine is the closed form of CosineAnnealingLR stepped once an epoch (Loshchilov and Hutter 2017, eq. 5, without
    restarts): with period 100 it is lowest at epoch 100 and back at the top at epoch 200. one_cycle changes with every
    step: up over the warm-up, then down, both in a straight line (Defazio et al. 2023).
    """
    low, high = config.minimum_learning_rate, config.learning_rate
    if config.schedule == "constant":
        return high
    if config.schedule == "cosine":
        return low + (high - low) * (1 + math.cos(math.pi * epoch / config.schedule_period)) / 2
    done = (epoch + share) / config.num_epochs
    if done < config.warm_up:
        return low + (high - low) * done / config.warm_up
    return low + (high - low) * (1 - done) / (1 - config.warm_up)


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
