"""The learning rate of each step: a pure function, so that resuming needs no scheduler state."""

import math

from recformer.config import TrainConfig

WARM_UP = 0.03


def learning_rate(config: TrainConfig, epoch: int, share: float) -> float:
    """Learning rate after `share` (0 to 1) of an epoch, the first being 0.

    cosine is the closed form of CosineAnnealingLR stepped once an epoch (Loshchilov and Hutter 2017, eq. 5, without
    restarts): with period 100 it is lowest at epoch 100 and back at the top at epoch 200. one_cycle changes with every
    step: up over the first 3% of the training, then down, both in a straight line (Defazio et al. 2023).
    """
    low, high = config.minimum_learning_rate, config.learning_rate
    if config.schedule == "constant":
        return high
    if config.schedule == "cosine":
        return low + (high - low) * (1 + math.cos(math.pi * epoch / config.schedule_period)) / 2
    done = (epoch + share) / config.num_epochs
    if done < WARM_UP:
        return low + (high - low) * done / WARM_UP
    return low + (high - low) * (1 - done) / (1 - WARM_UP)
