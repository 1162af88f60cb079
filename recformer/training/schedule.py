"""The learning rate of each epoch: a pure function, so that resuming needs no scheduler state."""

import math

from recformer.config import TrainConfig


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Learning rate of an epoch, the first being 0.

    cosine is the closed form of CosineAnnealingLR stepped once an epoch (Loshchilov and Hutter 2017, eq. 5, without
    restarts): with period 100 it is lowest at epoch 100 and back at the top at epoch 200.
    """
    if config.schedule == "constant":
        return config.learning_rate
    low, high = config.minimum_learning_rate, config.learning_rate
    return low + (high - low) * (1 + math.cos(math.pi * epoch / config.schedule_period)) / 2
