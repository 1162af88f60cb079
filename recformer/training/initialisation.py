"""The weights that training begins with: drawn, or taken from what the training part tells without training."""

from typing import Any

import numpy as np
import torch
from torch import nn

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.model.sizes import Sizes
from recformer.registry import MODELS
from recformer.training.co_occurrence import factors_of, recency

SAMPLE = 10_000  # training windows by which a model measures the spread of what it begins with


def new_model(config: TrainConfig, prepared: Prepared) -> nn.Module:
    """The model as training begins, on the CPU. The same for the same seed."""
    torch.manual_seed(config.seed)
    windows = prepared.windows
    model: Any = MODELS.get(config.model.name)(config.model, sizes_of(windows))
    if config.initialisation == "co_occurrence":
        rows = prepared.split.train[np.linspace(0, len(prepared.split.train) - 1, SAMPLE, dtype=np.int64)]
        tokens, users = torch.from_numpy(windows.inputs(rows)), torch.from_numpy(windows.users[rows])
        factors = factors_of(prepared, model.factor_rank)
        model.begin_with(factors, torch.from_numpy(recency(windows.size)), tokens, users)
    return model


def sizes_of(windows: Windows) -> Sizes:
    """What a model must know of these windows."""
    return Sizes(windows.num_tokens, len(windows.user_starts) - 1, windows.size)
