"""What is logged of single steps: noted on the device as they pass, read from it and written a few times a second."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from recformer.logs.by_step import tag_by_step
from recformer.training.resume_state import Position
from recformer.training.tensorboard import TensorBoardWriter

TRAIN, RATE, THROUGHPUT = (tag_by_step(tag) for tag in ("loss/train", "lr", "throughput/samples_per_s"))


@dataclass(frozen=True)
class _Noted:
    step: int
    cases: int
    loss_sum: Tensor
    """() float64 on the device."""
    rate: float
    wall_time: float


class StepLog:
    """Training loss, learning rate and throughput at some steps of the training, in a log that counts steps.

    A loss is the mean over the cases since the point before it. Noting a step copies one number on the device and waits
    for nothing: on a GPU the steps after it are given out meanwhile.
    """

    def __init__(self, writer: TensorBoardWriter, position: Position) -> None:
        self._writer = writer
        self._position = position
        self._noted: list[_Noted] = []
        self._measured = position.cases, position.seconds  # where the throughput is counted from

    def note(self, step: int, loss_sum: Tensor, rate: float) -> None:
        """Remember a point at `step` of the whole training: the sum of the epoch's losses, () float64, and the rate."""
        self._noted.append(_Noted(step, self._position.cases, loss_sum.clone(), rate, time.time()))

    def write(self) -> None:
        """Log what was noted since the last time. Raises StoreError when the disk refuses.

        All of it has one throughput, measured over that time: on a GPU, steps are given out faster than they are done.
        """
        if not self._noted:
            return
        position = self._position
        throughput = self._throughput()
        rows: list[tuple[int, float, dict[str, float]]] = []
        for noted, loss_sum in zip(
            self._noted, torch.stack([one.loss_sum for one in self._noted]).tolist(), strict=True
        ):
            loss = (loss_sum - position.logged_sum) / (noted.cases - position.logged_cases)
            position.logged_sum, position.logged_cases = loss_sum, noted.cases
            rows.append((noted.step, noted.wall_time, {TRAIN: loss, RATE: noted.rate, THROUGHPUT: throughput}))
        self._noted.clear()
        self._writer.write_all(rows)

    def validation(self, step: int, figures: dict[str, float]) -> None:
        """Log what a validation at `step` (of the whole training), within an epoch, has given."""
        self._writer.write(step, {tag_by_step(tag): value for tag, value in figures.items()})

    def _throughput(self) -> float:
        position = self._position
        cases, seconds = self._measured
        if position.cases <= cases:  # another epoch, whose cases and time are counted anew
            cases, seconds = 0, 0.0
        self._measured = position.cases, position.seconds
        return (position.cases - cases) / max(position.seconds - seconds, 1e-9)
