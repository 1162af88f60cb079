"""What gradient descent does to repeated items under each loss, on one worked example."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.config import parse_section
from recformer.loss.seen import Seen, Sequences
from recformer.registry import LOSSES

ITEMS = 8
WINDOW = (0, 1, 2)
TARGET = 7
# Eight items, of which the three of the window score highest and the target lowest; SOS and EOS are out of reach.
LOGITS = (3.0, 2.5, 2.0, 1.0, 1.0, 0.5, 0.5, 0.0, -9.0, -9.0)
STEPS = 50
RATE = 0.5


@dataclass(frozen=True, eq=False)
class Effect:
    """One loss, with its default options, on the example."""

    gradient: NDArray[np.float64]
    """(3,) of the loss, at the logits of the repeated items, at the start. Positive is pushed down."""
    beyond: NDArray[np.float64]
    """(3,) the same without cross-entropy's: what the loss adds to it."""
    mass: NDArray[np.float64]
    """(51,) softmax probability of the repeated items together, after 0 to 50 steps of gradient descent."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """The example under every registered loss."""

    repeats: tuple[int, ...]
    """The items of the window."""
    effects: dict[str, Effect]
    """Name of a loss to what it does."""


def demonstrate() -> Demonstration:
    """Every registered loss on the example. It begins with a probability of 0.803 on the three repeats."""
    plain = _gradient(_loss("cross_entropy"), torch.tensor([LOGITS], dtype=torch.float64))
    return Demonstration(WINDOW, {name: _effect(_loss(name), plain) for name in LOSSES.names()})


def _loss(name: str) -> Any:
    return LOSSES.get(name)(parse_section("loss", name))


def _effect(loss: Any, plain: Tensor) -> Effect:
    logits = torch.tensor([LOGITS], dtype=torch.float64)  # (1, V)
    first = _gradient(loss, logits)
    masses = [_mass(logits)]
    for _ in range(STEPS):
        logits = logits - RATE * _gradient(loss, logits)
        masses.append(_mass(logits))
    repeats = list(WINDOW)
    return Effect(first[0, repeats].numpy(), (first - plain)[0, repeats].numpy(), np.array(masses))


def _gradient(loss: Any, logits: Tensor) -> Tensor:
    """(1, V) of the loss at `logits` (1, V)."""
    inputs = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(inputs, torch.tensor([TARGET]), _seen()), inputs)[0]


def _mass(logits: Tensor) -> float:
    return float(logits.softmax(dim=1)[0, list(WINDOW)].sum())


def _seen() -> Seen:
    """A user who had the items of the window and nothing else."""
    sequences = Sequences(torch.tensor([ITEMS, *WINDOW, TARGET]), torch.tensor([0, 5]), ITEMS)
    return Seen(sequences, torch.tensor([WINDOW]), users=torch.tensor([0]), ends=torch.tensor([1 + len(WINDOW)]))
