"""What the users of a batch had seen before its targets, which a loss may ask for."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from recformer.data.histories import Histories

Span = Literal["window", "history"]
"""The input window, or all that the user had before the target."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Every user's [SOS] + items + [EOS], one after the other, on the device that trains."""

    tokens: Tensor
    """(N + 2U,) int64."""
    user_starts: Tensor
    """(U + 1,) int64, where each user's tokens begin."""
    num_items: int

    @classmethod
    def of(cls, histories: Histories, device: torch.device) -> "Sequences":
        """The tokens of `histories` as tensors on `device`."""
        tokens = torch.from_numpy(histories.tokens).to(device, torch.int64)
        return cls(tokens, torch.from_numpy(histories.user_starts).to(device), histories.num_items)


@dataclass(frozen=True, eq=False)
class Seen:
    """The window of each case of a batch, and the items of its window or history when a loss asks for them.

    SOS and EOS are no items: they stand in windows, but are never marked as seen, since no list shows them.
    """

    sequences: Sequences
    window: Tensor
    """(B, T) int64, input tokens, SOS in front where a user had fewer."""
    users: Tensor
    """(B,) int64, user tokens."""
    ends: Tensor
    """(B,) int64, where each target stands in the sequences."""

    def marks(self, span: Span) -> Tensor:
        """(B, V) bool: the distinct items of the window or the history. A history of [SOS 4 2 4] marks 2 and 4."""
        if span == "window":
            cases, tokens = torch.arange(len(self.window), device=self.window.device)[:, None], self.window
        else:
            cases, tokens = self._history_cells()
        marks = torch.zeros(len(self.window), self.sequences.num_items + 2, dtype=torch.bool, device=tokens.device)
        marks[cases, tokens] = True
        marks[:, self.sequences.num_items :] = False
        return marks

    def repeats(self, span: Span, targets: Tensor) -> Tensor:
        """(B, V) bool: `marks` without each case's own target (B,), which is right also where it repeats."""
        return self.marks(span).scatter(1, targets[:, None], False)

    def _history_cells(self) -> tuple[Tensor, Tensor]:
        """(M,) case and token of everything from SOS to before each target; M is their number in all."""
        firsts = self.sequences.user_starts[self.users]  # (B,)
        lengths = self.ends - firsts  # (B,)
        cases = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)  # (M,)
        before = lengths.cumsum(0) - lengths  # (B,)
        steps = torch.arange(len(cases), device=lengths.device) - before[cases]  # (M,)
        return cases, self.sequences.tokens[firsts[cases] + steps]
