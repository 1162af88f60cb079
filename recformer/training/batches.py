"""The batches of an epoch, as index arithmetic on the device that trains."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.loss.seen import Seen, Sequences
from recformer.training.resume_state import Position, batch_order


class EpochBatches:
    """The training cases on the device, visited each epoch in another order, as index arithmetic."""

    def __init__(self, prepared: Prepared, config: TrainConfig, device: torch.device) -> None:
        windows, rows = prepared.windows, prepared.split.train
        self._sequences = Sequences.of(windows, device)
        self._starts = torch.from_numpy(windows.starts[rows]).to(device)  # (W,)
        self._users = torch.from_numpy(windows.users[rows]).to(device, torch.int64)  # (W,)
        self._reach = torch.arange(windows.size + 1, device=device)
        self._size = config.batch_size
        self._seed = config.seed
        self.cases = len(rows)
        self.steps = math.ceil(len(rows) / config.batch_size)

    def first(self) -> tuple[Seen, Tensor]:
        """A full-sized batch to try things on (smaller only where there are fewer cases)."""
        return self._gather(torch.arange(min(self._size, len(self._starts)), device=self._starts.device))

    def epoch(self, epoch: int, first_step: int) -> Iterator[tuple[Seen, Tensor]]:
        """Batches of an epoch: what was seen (windows (B, T), users (B,)) and targets (B,), from `first_step` on."""
        order = batch_order(self._seed, epoch, len(self._starts)).to(self._starts.device)
        for step in range(first_step, self.steps):
            yield self._gather(order[step * self._size : (step + 1) * self._size])

    def done(self, position: Position) -> int:
        """Steps of the whole training until `position`."""
        return position.epoch * self.steps + position.step

    def _gather(self, cases: Tensor) -> tuple[Seen, Tensor]:
        starts = self._starts[cases]
        places = starts[:, None] + self._reach  # (B, T + 1)
        # Indexing by a matrix would wake PyTorch's threads, which then wait busily on the cores of the native engine.
        run = self._sequences.tokens.index_select(0, places.flatten()).view(places.shape)
        return Seen(self._sequences, run[:, :-1], self._users[cases], starts), run[:, -1]
