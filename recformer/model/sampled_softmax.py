"""Cross-entropy over a sample of the items, for catalogues of which all would take too long."""

import math

import torch
from torch import Tensor

from recformer.model.full_softmax import TakenOut, full_softmax


def sampled_softmax(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    taken_out: TakenOut | None,
    shares: Tensor,
    negatives: int,
) -> Tensor:
    """As `full_softmax`, over the targets of all rows and `negatives` items drawn evenly, the same for each row.

    Scores are lowered by the logarithm of how likely an item is in such a sample: frequent targets nearly always are,
    and would else be pushed down too often. So the scores that are right for all items are right for samples too (Jean
    et al. 2015; Yi et al. 2019).

    Args:
        hidden: (N, D) float.
        weight: (I, D) float.
        bias: (I,) float.
        targets: (N,) int64, items.
        taken_out: what is no candidate.
        shares: (I,) float, how often each item is a target, of 1 in all.
        negatives: how many are drawn, some perhaps twice.

    Returns:
        () float, with gradients of hidden, weight and bias.
    """
    items = len(weight)
    drawn = torch.randint(items, (negatives,), device=weight.device)
    candidates = torch.cat([targets, drawn]).unique()
    missed = (len(targets) - 1) * torch.log1p(-shares[candidates].clamp(max=0.999)) + negatives * math.log1p(
        -1 / max(items, 2)
    )
    chance = -torch.expm1(missed)
    place = torch.full((items + 2,), len(candidates), device=weight.device)  # what is no candidate is passed over
    place[candidates] = torch.arange(len(candidates), device=weight.device)
    taken_out = None if taken_out is None else _renumbered(taken_out, place)
    return full_softmax(hidden, weight[candidates], bias[candidates] - chance.log(), place[targets], taken_out)


def _renumbered(taken_out: TakenOut, place: Tensor) -> TakenOut:
    """The same items as places among the candidates. Only what these rows need is looked at, not all histories."""
    firsts, rows = torch.unique_consecutive(taken_out.firsts, return_inverse=True)
    ends = torch.zeros_like(firsts).scatter_reduce(0, rows, taken_out.ends, "amax")
    lengths = ends - firsts
    begins = lengths.cumsum(0) - lengths
    places = torch.arange(int(lengths.sum()), device=place.device) + (firsts - begins).repeat_interleave(lengths)
    counts = taken_out.ends - taken_out.firsts
    return TakenOut(place[taken_out.tokens[places]], begins[rows], begins[rows] + counts)
