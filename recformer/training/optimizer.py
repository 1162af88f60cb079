"""What moves the weights along their gradients: Adam, AdamW, or Muon for the matrices between embedding and output."""

from collections.abc import Iterable
from typing import Any, Protocol, cast

import torch
from torch import nn

from recformer.config import TrainConfig

BETAS = (0.9, 0.98)  # of AdamW: a shorter memory of squares than Adam's .999, as transformers are usually trained


class Optimizer(Protocol):
    """What the loop needs of one, as `torch.optim.Optimizer` has it."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any: ...
    def zero_grad(self, set_to_none: bool = True) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def optimizer_of(config: TrainConfig, model: nn.Module) -> Optimizer:
    """A new optimizer of all weights of a model, on the device where they are."""
    rate, decay = config.learning_rate, config.weight_decay
    parameters = dict(model.named_parameters())
    if config.optimizer == "adam":
        # fused: one kernel for all parameters instead of a dozen for each.
        return torch.optim.Adam(parameters.values(), lr=rate, fused=True)
    if config.optimizer == "adamw":
        return _adamw(parameters.values(), rate, decay)
    matrices = [name for name, weight in parameters.items() if name.startswith("layers.") and weight.ndim == 2]
    hidden = [parameters.pop(name) for name in matrices]
    # Its updates are scaled to the size of AdamW's, so that one learning rate is right for both.
    muon = torch.optim.Muon(hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return _Both(muon, _adamw(parameters.values(), rate, decay))


def _adamw(parameters: Iterable[nn.Parameter], rate: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=rate, betas=BETAS, weight_decay=decay, fused=True)


class _Both:
    """Two optimizers of different weights, as one."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self._optimizers = optimizers
        self.param_groups = self._groups()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        for optimizer in self._optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {str(place): optimizer.state_dict() for place, optimizer in enumerate(self._optimizers)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for place, optimizer in enumerate(self._optimizers):
            optimizer.load_state_dict(cast("dict[str, Any]", state_dict[str(place)]))
        self.param_groups = self._groups()  # loading makes new ones
