"""Cross-entropy over all items of a linear output layer, without ever holding all logits.

Logits of 6,400 positions and 100,000 items would be 2.5 GB, and as much again for their gradient. Here rows are taken a
few hundred at a time, and each piece's gradient is made while its logits are still in the caches: three matrix products
and one pass in C++ (model/native/softmax.cpp), or PyTorch's operations where there is no compiler.
"""

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from recformer.model.native.build import BuildError, library

SCORES = 1 << 20  # logits of a piece: 4 MB of float32


@dataclass(frozen=True, eq=False)
class TakenOut:
    """Which items are no candidates of each row: those of its history, but for its target."""

    tokens: Tensor
    """(P,) int64 histories, one after the other; what is no item is passed over."""
    firsts: Tensor
    """(N,) int64 where each row's history begins."""
    ends: Tensor
    """(N,) int64 where it ends."""

    def rows(self, piece: slice) -> "TakenOut":
        """The same of some rows."""
        return TakenOut(self.tokens, self.firsts[piece], self.ends[piece])


def full_softmax(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, taken_out: TakenOut | None = None
) -> Tensor:
    """Mean over rows of −log softmax(hidden · weightᵀ + bias)[target], among what is not taken out.

    Args:
        hidden: (N, D) float.
        weight: (I, D) float.
        bias: (I,) float.
        targets: (N,) int64, items.
        taken_out: what is no candidate.

    Returns:
        () float, with gradients of hidden, weight and bias.
    """
    return _FullSoftmax.apply(hidden, weight, bias, targets, taken_out)


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, taken_out: TakenOut | None
    ) -> Tensor:
        count = len(hidden)
        rows = max(SCORES // len(weight), 1)
        of_hidden, of_weight, of_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(bias)
        losses = hidden.new_empty(count)
        scores = hidden.new_empty(min(rows, count), len(weight))
        gradient = _gradient_on(hidden.device.type)
        for start in range(0, count, rows):
            piece = slice(start, start + rows)
            part = scores[: len(hidden[piece])]
            torch.addmm(bias, hidden[piece], weight.T, out=part)
            gradient(part, targets[piece], None if taken_out is None else taken_out.rows(piece), losses[piece])
            torch.mm(part, weight, out=of_hidden[piece])
            of_weight.addmm_(part.T, hidden[piece])
            of_bias += part.sum(0)
        ctx.save_for_backward(of_hidden, of_weight, of_bias)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        scale = outer[0] / len(ctx.saved_tensors[0])
        return *(gradient * scale for gradient in ctx.saved_tensors), None, None


Gradient = Callable[[Tensor, Tensor, TakenOut | None, Tensor], None]
"""Turns logits (R, I) into softmax minus one at the targets (R,), in place, and fills losses (R,)."""


def _gradient_on(device: str) -> Gradient:
    native = _native() if device == "cpu" else None
    return native or _gradient


def _gradient(logits: Tensor, targets: Tensor, taken_out: TakenOut | None, losses: Tensor) -> None:
    places = targets[:, None]
    at_targets = logits.gather(1, places)
    if taken_out is not None:
        lengths = taken_out.ends - taken_out.firsts
        rows = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
        steps = torch.arange(len(rows), device=lengths.device) - (lengths.cumsum(0) - lengths)[rows]
        tokens = taken_out.tokens[taken_out.firsts[rows] + steps]
        items = tokens < logits.shape[1]
        logits[rows[items], tokens[items]] = -math.inf
        logits.scatter_(1, places, at_targets)
    highest = logits.amax(1, keepdim=True)  # taken off first: large logits would cost the digits of their differences
    at_targets -= highest
    normaliser = logits.sub_(highest).logsumexp(1, keepdim=True)
    torch.sub(normaliser, at_targets, out=losses[:, None])
    logits.sub_(normaliser).exp_()
    logits.scatter_add_(1, places, torch.full_like(at_targets, -1.0))


class _Rows(ctypes.Structure):
    """Struct Rows of softmax.cpp."""

    _fields_ = [
        ("logits", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("items", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("targets", "tokens", "firsts", "ends", "losses")),
    ]


@cache
def _native() -> Gradient | None:
    try:
        function = library("softmax.cpp", {}).softmax_gradient
    except BuildError:
        return None

    def gradient(logits: Tensor, targets: Tensor, taken_out: TakenOut | None, losses: Tensor) -> None:
        parts = () if taken_out is None else (taken_out.tokens, taken_out.firsts, taken_out.ends)
        arrays = [part.contiguous() for part in (targets, *parts)]
        places = [array.data_ptr() for array in arrays] + [None] * (4 - len(arrays))
        call = _Rows(logits.data_ptr(), *logits.shape, *places, losses.data_ptr())
        function(ctypes.byref(call), ctypes.c_int64(torch.get_num_threads()))

    return gradient
