"""What training goes through: batches of windows, or of whole histories, whichever the model is trained on."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.registry import MODELS
from recformer.training.resume_state import Position
from recformer.training.sequence_batches import SequenceBatches
from recformer.training.window_batches import WindowBatches


class Batch(Protocol):
    """Cases that are trained in one step."""

    def __len__(self) -> int: ...


class Batches(Protocol):
    """The training cases on the device, visited each epoch in another order that follows from seed and epoch."""

    unit: str
    """What a case is called: "windows" or "positions"."""
    cases: int
    """Of an epoch."""
    steps: int
    """Of an epoch."""

    def first(self) -> Any:
        """A full-sized batch to try things on (smaller only where there are fewer cases)."""
        ...

    def epoch(self, epoch: int, first_step: int) -> Iterator[Any]:
        """Batches of an epoch, from `first_step` on."""
        ...


def batches_of(prepared: Prepared, config: TrainConfig, device: torch.device) -> Batches:
    """The batches that a configuration trains on. Raises DataError where there are none."""
    kind = SequenceBatches if trains_sequences(config) else WindowBatches
    return kind(prepared, config, device)


def trains_sequences(config: TrainConfig) -> bool:
    """Whether the model is trained on whole histories, at all of their positions."""
    return MODELS.get(config.model.name).TRAINED_ON == "sequences"


def steps_done(batches: Batches, position: Position) -> int:
    """Steps of the whole training until `position`."""
    return position.epoch * batches.steps + position.step
