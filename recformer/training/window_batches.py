"""The training cases of a configuration, and the batches of an epoch, as index arithmetic on the device that trains."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recformer.config import TrainConfig
from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.errors import DataError
from recformer.loss.seen import Seen, Sequences
from recformer.training.resume_state import batch_order


def training_cases(config: TrainConfig, prepared: Prepared) -> Cases:
    """The cases of the training part that a configuration trains on. Raises DataError where there are none."""
    cases = prepared.split.train
    if config.short_histories == "skip":
        cases = cases[prepared.histories.lengths(cases) + 1 >= config.window]  # SOS fills a place of the window
    if not len(cases):
        raise DataError(
            f"no training case has a history of {config.window - 1} items or more, which a window of {config.window} "
            "needs: choose short_histories=pad, or a smaller window"
        )
    return cases


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows, with what was seen before each target."""

    seen: Seen
    targets: Tensor
    """(B,) int64"""

    def __len__(self) -> int:
        return len(self.targets)


class WindowBatches:
    """The training cases on the device, visited each epoch in another order, as index arithmetic."""

    unit = "windows"

    def __init__(self, prepared: Prepared, config: TrainConfig, device: torch.device) -> None:
        cases = training_cases(config, prepared)
        self._sequences = Sequences.of(prepared.histories, device)
        self._ends = torch.from_numpy(cases.ends).to(device)  # (N,)
        self._users = torch.from_numpy(cases.users).to(device, torch.int64)  # (N,)
        self._reach = torch.arange(-config.window, 1, device=device)
        self._pads = config.short_histories == "pad"
        self._size = config.batch_size
        self._seed = config.seed
        self.cases = len(cases)
        self.steps = math.ceil(len(cases) / config.batch_size)

    def first(self) -> WindowBatch:
        """A full-sized batch to try things on (smaller only where there are fewer cases)."""
        return self._gather(torch.arange(min(self._size, len(self._ends)), device=self._ends.device))

    def epoch(self, epoch: int, first_step: int) -> Iterator[WindowBatch]:
        """Batches of an epoch, from `first_step` on."""
        order = batch_order(self._seed, epoch, len(self._ends)).to(self._ends.device)
        for step in range(first_step, self.steps):
            yield self._gather(order[step * self._size : (step + 1) * self._size])

    def _gather(self, cases: Tensor) -> WindowBatch:
        ends, users = self._ends[cases], self._users[cases]
        places = ends[:, None] + self._reach  # (B, T + 1)
        if self._pads:  # a user's first token is SOS
            places = torch.maximum(places, self._sequences.user_starts[users][:, None])
        # Indexing by a matrix would wake PyTorch's threads, which then wait busily on the cores of the native engine.
        run = self._sequences.tokens.index_select(0, places.flatten()).view(places.shape)
        return WindowBatch(Seen(self._sequences, run[:, :-1], users, ends), run[:, -1])
