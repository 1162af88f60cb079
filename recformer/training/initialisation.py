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
from recformer.training.batches import trains_sequences
from recformer.training.co_occurrence import factors_of, log_popularity, recency
from recformer.training.window_batches import training_cases

NEAR = 5  # places within which items co-occur, for models of whole histories
SAMPLE = 10_000  # training cases by which a model measures the spread of what it begins with


def new_model(config: TrainConfig, prepared: Prepared) -> nn.Module:
    """The model as training begins, on the CPU. The same for the same seed."""
    torch.manual_seed(config.seed)
    histories = prepared.histories
    model: Any = MODELS.get(config.model.name)(config.model, sizes_of(config, histories))
    if trains_sequences(config):
        cases = prepared.split.train
        cases = cases[histories.targets(cases) < histories.num_items]
        if config.initialisation == "co_occurrence":
            model.begin_with(factors_of(histories, cases, NEAR, model.factor_rank))
        else:
            model.begin_with_popularity(log_popularity(histories, cases))
    elif config.initialisation == "co_occurrence":
        cases = training_cases(config, prepared)
        sample = cases[np.linspace(0, len(cases) - 1, SAMPLE, dtype=np.int64)]
        tokens, users = torch.from_numpy(histories.inputs(sample, config.window)), torch.from_numpy(sample.users)
        factors = factors_of(histories, cases, config.window, model.factor_rank)
        model.begin_with(factors, torch.from_numpy(recency(config.window)), tokens, users)
    return model


def sizes_of(config: TrainConfig, histories: Histories) -> Sizes:
    """What the configuration's model must know of these histories."""
    num_users = histories.num_users if MODELS.get(config.model.name).TRAINED_ON == "windows" else 0
    return Sizes(histories.num_tokens, num_users, config.window)
