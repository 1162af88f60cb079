"""The weights that training begins with: drawn, or taken from what the training part tells without training."""

from typing import Any

import numpy as np
import torch
from torch import nn

from recformer.config import TrainConfig
from recformer.data.histories import Histories
from recformer.data.prepared import Prepared
from recformer.model.sizes import Sizes
from recformer.registry import MODELS
from recformer.training.batches import training_cases
from recformer.training.co_occurrence import factors_of, recency

SAMPLE = 10_000  # training cases by which a model measures the spread of what it begins with


def new_model(config: TrainConfig, prepared: Prepared) -> nn.Module:
    """The model as training begins, on the CPU. The same for the same seed."""
    torch.manual_seed(config.seed)
    histories = prepared.histories
    model: Any = MODELS.get(config.model.name)(config.model, sizes_of(histories, config.window))
    if config.initialisation == "co_occurrence":
        cases = training_cases(config, prepared)
        sample = cases[np.linspace(0, len(cases) - 1, SAMPLE, dtype=np.int64)]
        tokens, users = torch.from_numpy(histories.inputs(sample, config.window)), torch.from_numpy(sample.users)
        factors = factors_of(histories, cases, config.window, model.factor_rank)
        model.begin_with(factors, torch.from_numpy(recency(config.window)), tokens, users)
    return model


def sizes_of(histories: Histories, window: int) -> Sizes:
    """What a model that reads `window` tokens must know of these histories."""
    return Sizes(histories.num_tokens, histories.num_users, window)
