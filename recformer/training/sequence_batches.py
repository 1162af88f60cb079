"""Batches of whole histories, cut in pieces: every position that has a training target is trained in one pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.config import TrainConfig
from recformer.data.histories import ranges
from recformer.data.prepared import Prepared
from recformer.errors import DataError
from recformer.loss.seen import Sequences
from recformer.model.baseline.counts import ends_of_training

JITTER = 0.1  # pieces of about one length are batched together, but not always the same ones


@dataclass(frozen=True, eq=False)
class SequenceBatch:
    """Pieces of histories, and which of their positions are trained."""

    sequences: Sequences
    tokens: Tensor
    """(B, T) int64; SOS after the end of a piece."""
    positions: Tensor
    """(M,) int64, places in `tokens`, row after row, whose next token is trained to be predicted."""
    ends: Tensor
    """(M,) int64, where their targets stand in the sequences."""
    user_starts: Tensor
    """(M,) int64, where their users' tokens begin."""
    shares: Tensor
    """(I,) float32, how often each item is a target of the training part, of 1 in all."""

    def __len__(self) -> int:
        return len(self.ends)


class SequenceBatches:
    """Every trained position of every user once an epoch, in another order, `batch_size` positions a step or so."""

    unit = "positions"

    def __init__(self, prepared: Prepared, config: TrainConfig, device: torch.device) -> None:
        histories = prepared.histories
        self._sequences = Sequences.of(histories, device)
        self._trained = prepared.split.trained.copy()
        self._trained[histories.tokens >= histories.num_items] = False  # EOS is no item to be recommended
        targets = histories.tokens[self._trained]
        shares = np.bincount(targets, minlength=histories.num_items) / max(len(targets), 1)
        self._shares = torch.from_numpy(shares).to(device, torch.float32)
        self._user_starts = histories.user_starts
        self._firsts, self._ends = _pieces(self._trained, histories.user_starts, config.window)
        if not len(self._firsts):
            raise DataError("no interaction of the training part is left to train on: choose another split")
        self._lengths = self._ends - self._firsts
        self._seed, self._device = config.seed, device
        self.cases = int(np.count_nonzero(self._trained))
        self.steps = min(max(round(int(self._lengths.sum()) / config.batch_size), 1), len(self._lengths))

    def first(self) -> SequenceBatch:
        """A batch to try things on."""
        return next(self.epoch(0, 0))

    def epoch(self, epoch: int, first_step: int) -> Iterator[SequenceBatch]:
        """Batches of an epoch, from `first_step` on; a pure function of seed and epoch."""
        generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        key = self._lengths * (1 + JITTER * generator.random(len(self._lengths)))
        order = np.argsort(key, kind="stable")
        total = np.cumsum(self._lengths[order])
        number = np.arange(1, self.steps)
        cuts = np.searchsorted(total, number * (total[-1] / self.steps)) + 1
        cuts = np.maximum.accumulate(cuts - number) + number  # a piece in each, however long one is
        batches = np.split(order, np.minimum(cuts, len(order) - self.steps + number))
        for step in generator.permutation(self.steps)[first_step:]:
            yield self._gather(batches[step])

    def _gather(self, pieces: NDArray[np.int64]) -> SequenceBatch:
        firsts, lengths = self._firsts[pieces], self._lengths[pieces]
        longest = int(lengths.max())
        inputs = ranges(firsts, lengths)  # places in the sequences, piece after piece
        rows = np.repeat(np.arange(len(pieces)), lengths)
        cells = rows * longest + inputs - firsts[rows]
        trained = self._trained[inputs + 1]
        ends = inputs[trained] + 1
        starts = self._user_starts[np.searchsorted(self._user_starts, ends, side="right") - 1]
        places, cells, positions, ends, starts = (
            torch.from_numpy(array).to(self._device) for array in (inputs, cells, cells[trained], ends, starts)
        )
        tokens = self._sequences.tokens.new_full((len(pieces) * longest,), self._sequences.num_items)
        tokens[cells] = self._sequences.tokens[places]
        return SequenceBatch(self._sequences, tokens.view(len(pieces), longest), positions, ends, starts, self._shares)


def _pieces(
    trained: NDArray[np.bool_], user_starts: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(P,) firsts and ends of the inputs of each piece: a user's tokens until the last one that is trained, cut from
    the end into pieces of at most `longest`."""
    last = ends_of_training(trained, user_starts) - 1
    users = np.flatnonzero(last > user_starts[:-1])
    begins, lasts = user_starts[users], last[users]
    counts = -(-(lasts - begins) // longest)
    ends = np.repeat(lasts, counts) - longest * (ranges(np.zeros_like(counts), counts))
    return np.maximum(ends - longest, np.repeat(begins, counts)), ends
