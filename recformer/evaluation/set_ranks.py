"""Ranks of cases with several targets: where each of them stands, no matter in which order they were met."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.data.windows import Windows
from recformer.evaluation.ranks import MASKINGS, MAX_K, Masking, Ranks, SetRanks
from recformer.evaluation.torch_ranks import history_of


def set_ranks(
    first: Ranks,
    scores: Tensor,
    windows: Windows,
    rows: NDArray[np.int64],
    candidates: int,
    targets: NDArray[np.int64],
) -> SetRanks:
    """Ranks with all targets of the rows (B,), from `first`, the ranks with the first of them alone.

    A target's rank counts the other candidates, no targets, that score at least as much. So the j-th best of a case's
    targets stands j − 1 places below its rank. Where a case has one target, its place is its rank in `first`.

    Args:
        scores: (B, V) numbers, on any device.
        candidates: the first so many tokens are ranked.
        targets: (B,) how many tokens from a row's target on are its targets; one that is there twice counts once.

    The lists stay those of `first`, in which the other targets are masked where they were in the history before.
    """
    places = {masking: np.zeros((len(rows), MAX_K), dtype=np.int32) for masking in MASKINGS}
    for masking in MASKINGS:
        places[masking][:, 0] = first.rank(masking)
    counts = np.ones(len(rows), dtype=np.int32)
    several = np.flatnonzero(targets > 1)
    if len(several):
        tokens, there = _tokens(windows, rows[several], targets[several])
        counts[several] = there.sum(axis=1)
        own = scores[torch.from_numpy(several).to(scores.device)]
        ranks = _ranks(own, windows, rows[several], candidates, tokens, there)
        for masking, found in ranks.items():
            places[masking][several] = _places(found, there)
    kept: dict[str, Any] = {field.name: getattr(first, field.name) for field in fields(Ranks)}
    kept |= {f"rank_{masking}": table[:, 0].copy() for masking, table in places.items()}
    kept |= {f"places_{masking}": table for masking, table in places.items()}
    return SetRanks(**kept, targets=counts)


def _tokens(
    windows: Windows, rows: NDArray[np.int64], targets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(B, M) the targets of each row, and which of them are there: no more than the row has, and each once.

    Equal ones lie side by side, since the order of what is tied goes by user and item.
    """
    reach = np.arange(targets.max())
    places = windows.target_positions(rows)[:, None] + np.minimum(reach, targets[:, None] - 1)
    tokens = windows.tokens[places].astype(np.int64)
    there = reach < targets[:, None]
    there[:, 1:] &= tokens[:, 1:] != tokens[:, :-1]
    return tokens, there


def _ranks(
    scores: Tensor,
    windows: Windows,
    rows: NDArray[np.int64],
    candidates: int,
    tokens: NDArray[np.int64],
    there: NDArray[np.bool_],
) -> dict[Masking, NDArray[np.int64]]:
    """(B, M) under each masking: 1 + candidates, no targets, that score at least as much as each target."""
    device = scores.device
    aims = torch.from_numpy(tokens).to(device)
    inputs = torch.from_numpy(windows.inputs(rows)).to(device, torch.int64)
    others = torch.ones(scores.shape, dtype=torch.bool, device=device)  # (B, V), what can be ahead of a target
    others[:, candidates:] = False
    others.scatter_(1, aims, False)
    shown: dict[Masking, Tensor] = {
        "none": others,
        "window": others.scatter(1, inputs, False),
        "history": others & ~history_of(windows, rows, device),
    }
    ranks: dict[Masking, NDArray[np.int64]] = {masking: np.ones(tokens.shape, dtype=np.int64) for masking in shown}
    for place in range(tokens.shape[1]):
        own = np.flatnonzero(there[:, place])
        which = torch.from_numpy(own).to(device)
        ahead = scores[which] >= scores[which, aims[which, place]][:, None]
        for masking, mask in shown.items():
            ranks[masking][own, place] += (ahead & mask[which]).sum(dim=1).cpu().numpy()
    return ranks


def _places(ranks: NDArray[np.int64], there: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(B, M) → (B, 20): each case's places in a list, best first, then 0."""
    number = np.arange(ranks.shape[1])
    ordered = np.sort(np.where(there, ranks, np.iinfo(np.int64).max), axis=1)
    places = np.where(number < there.sum(axis=1)[:, None], ordered + number, 0)[:, :MAX_K]
    return np.pad(places, ((0, 0), (0, MAX_K - places.shape[1]))).astype(np.int32)
