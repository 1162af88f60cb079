"""Unlikelihood training: repeats are made unlikely, the more the likelier they are."""

from math import inf
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from recformer.config import Options, option
from recformer.loss.seen import Seen, Span
from recformer.registry import LOSSES


class UnlikelihoodOptions(Options):
    name: str = "unlikelihood"
    penalty: float = option(
        1.0,
        "Penalty λ",
        "How much the unlikelihood of repeats counts beside the model's error. 0 trains as cross_entropy.",
        group="Loss",
        ge=0,
        le=1000,
    )
    form: Literal["mass", "item"] = option(
        "mass",
        "Form",
        "mass: −log(1 − probability of all repeats together). item: the sum of −log(1 − probability) of each repeat, "
        "as in the paper.",
        group="Loss",
    )
    of: Span = option(
        "window",
        "What counts as a repeat",
        "window: the items of the input window, which is what duplication/window@k counts. history: every item the "
        "user had before.",
        group="Loss",
    )


@LOSSES.register("unlikelihood")
class Unlikelihood:
    """Cross-entropy + λ · mean over the batch of −log(1 − m), or of the sum over repeats i of −log(1 − p_i).

    p_i is the softmax probability of item i and m that of all repeats together. The derivative of −log(1 − m) to
    the logit of a repeat is p_i, to that of any other item j −m p_j / (1 − m): bounded, and not vanishing where m is 1.
    Four equal logits of which two are repeats: mass gives log 4 + λ log 2 = 2.079, item log 4 + 2 λ log(4/3) = 1.962
    with λ = 1.
    Source: Welleck et al. 2019, "Neural Text Generation with Unlikelihood Training", equation 4 (the item form).
    """

    Options = UnlikelihoodOptions

    def __init__(self, options: UnlikelihoodOptions) -> None:
        self.options = options

    def __call__(self, logits: Tensor, targets: Tensor, seen: Seen) -> Tensor:
        """Loss of a batch: (B, V) float, (B,) int64 tokens, what was seen → () float."""
        repeats = seen.repeats(self.options.of, targets)  # (B, V)
        unlikelihood = _of_mass(logits, repeats) if self.options.form == "mass" else _of_items(logits, repeats)
        return functional.cross_entropy(logits, targets) + self.options.penalty * unlikelihood.mean()


def _of_mass(logits: Tensor, repeats: Tensor) -> Tensor:
    """(B,) −log(1 − m). The target is no repeat, so something is always left."""
    return logits.logsumexp(dim=1) - logits.masked_fill(repeats, -inf).logsumexp(dim=1)


def _of_items(logits: Tensor, repeats: Tensor) -> Tensor:
    """(B,) sum over repeats of −log(1 − p_i).

    Only the likeliest item's p can round to 1: its 1 − p is summed from the others. Every other p is at most ½.
    """
    likeliest = logits.argmax(dim=1, keepdim=True)  # (B, 1)
    rest = logits.scatter(1, likeliest, -inf).logsumexp(dim=1, keepdim=True)  # (B, 1)
    without = rest - logits.logsumexp(dim=1, keepdim=True)  # (B, 1)
    others = torch.log1p(-logits.softmax(dim=1).scatter(1, likeliest, 0.0))  # (B, V)
    return -(others.scatter(1, likeliest, without) * repeats).sum(dim=1)
