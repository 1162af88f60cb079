"""From scores to ranks with PyTorch: on a GPU, without a compiler, and for cases of several targets."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.data.histories import Cases, Histories
from recformer.errors import NotNumbersError
from recformer.evaluation.ranks import MASKINGS, MAX_K, Masking, Ranks

HIDDEN = torch.iinfo(torch.int64).min
"""Below the key of every candidate."""


def torch_ranks(logits: Tensor, histories: Histories, cases: Cases, candidates: int, recent: int) -> Ranks:
    """Ranks of cases (B) from scores (B, V) on any device. Raises NotNumbersError.

    The first `candidates` tokens are ranked. Of equal scores the lower token is listed first.
    """
    logits = logits.float()
    scores = logits[:, :candidates]
    if bool(scores.isnan().any()):
        raise NotNumbersError
    target = torch.from_numpy(histories.targets(cases)).to(logits.device, torch.int64)[:, None]  # (B, 1)
    seen = seen_marks(histories, cases, recent, logits.device)
    ranks = _ranks(logits, candidates, seen, target, np.ones((len(cases), 1), dtype=np.bool_))
    tops = _lists(scores, seen, target, recent)
    raw, unrepeated = tops["none"], tops["window"]
    repeated = _among(seen["history"] & ~seen["window"], unrepeated)
    return Ranks(
        user=cases.users,
        target=histories.targets(cases),
        **{f"rank_{masking}": found[:, 0].astype(np.int32) for masking, found in ranks.items()},
        window_repeats_none=_repeats(_among(seen["window"], raw)),
        history_repeats_none=_repeats(_among(seen["history"], raw)),
        history_repeats_window=_repeats(repeated),
        **{f"top_{masking}": _list(top) for masking, top in tops.items()},
    )


def with_all_targets(
    first: Ranks, scores: Tensor, histories: Histories, cases: Cases, candidates: int, recent: int
) -> Ranks:
    """Ranks with all targets of the cases (B), from `first`, the ranks with the first of them alone.

    A target's rank counts the other candidates, no targets, that score at least as much. So the j-th best of a case's
    targets stands j − 1 places below its rank. One that is there twice counts once. The lists stay those of `first`, in
    which the other targets are masked where they were in the history before. Arguments as in `torch_ranks`.
    """
    tokens, there = _targets(histories, cases)
    aims = torch.from_numpy(tokens).to(scores.device)
    ranks = _ranks(scores, candidates, seen_marks(histories, cases, recent, scores.device), aims, there)
    found: dict[str, Any] = {"num_targets": there.sum(axis=1, dtype=np.int32)}
    for masking in MASKINGS:
        places = _places(ranks[masking], there)
        found |= {f"rank_{masking}": places[:, 0].copy(), f"places_{masking}": places}
    return replace(first, **found)


def seen_marks(histories: Histories, cases: Cases, recent: int, device: torch.device) -> dict[Masking, Tensor]:
    """(B, V) bool for each masking: nothing, the `recent` tokens before each target, all tokens before it."""
    nothing = torch.zeros(len(cases), histories.num_tokens, dtype=torch.bool, device=device)

    def marked(lengths: NDArray[np.int64]) -> Tensor:
        places = np.arange(lengths.sum()) + np.repeat(cases.ends - lengths.cumsum(), lengths)
        case = torch.from_numpy(np.repeat(np.arange(len(cases)), lengths)).to(device)
        token = torch.from_numpy(histories.tokens[places]).to(device, torch.int64)
        return nothing.index_put((case, token), torch.ones((), dtype=torch.bool, device=device))

    before = cases.ends - histories.user_starts[cases.users]
    return {
        "none": nothing,
        "window": marked(np.minimum(before, min(recent, len(histories.tokens)))),
        "history": marked(before),
    }


def _keys(scores: Tensor) -> Tensor:
    """(B, C) float32 → (B, C) int64 in the same order, of equal scores the lower token above.

    The bits of positive floats are in their order as integers, those of negative ones once all but the sign are turned.
    """
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes 0.0 of −0.0
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return bits.long().mul_(2**32).sub_(torch.arange(scores.shape[1], device=scores.device))


def _lists(scores: Tensor, seen: dict[Masking, Tensor], target: Tensor, recent: int) -> dict[Masking, Tensor]:
    """(B, ≤ MAX_K) under each masking, from scores (B, C): the first tokens that are not masked, then −1.

    One search for as many more as a window has items gives two of them.
    """
    candidates = scores.shape[1]
    shown = min(MAX_K, candidates)
    raw = first_tokens(scores, torch.zeros_like(scores, dtype=torch.bool), min(MAX_K + recent, candidates))
    masked = seen["window"].gather(1, raw) & (raw != target)  # what is looked for keeps its place in every list
    order = masked.byte().argsort(dim=1, stable=True)[:, :shown]  # those that are shown first
    hidden = seen["history"].scatter(1, target, False)[:, :candidates]
    return {
        "none": raw[:, :shown],
        "window": raw.gather(1, order).masked_fill(masked.gather(1, order), -1),
        "history": first_tokens(scores.masked_fill(hidden, -torch.inf), hidden, shown),
    }


def first_tokens(scores: Tensor, hidden: Tensor, count: int) -> Tensor:
    """(B, `count`) the first tokens by scores (B, C), of equal ones the lower, without those that are hidden; then −1.

    A search by scores alone takes any of equal ones. It is sure of a row where the last that it found is above the
    next; the others are searched by keys, which take twice as long. Hidden scores are −∞.
    """
    found = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    tokens = found.indices[:, :count].sort(dim=1).values
    order = scores.gather(1, tokens).argsort(dim=1, descending=True, stable=True)
    tokens = tokens.gather(1, order)
    rows = ((found.values[:, count - 1] == found.values[:, -1]) | (found.values[:, -1] == -torch.inf)).nonzero()[:, 0]
    if len(rows):
        best = _keys(scores[rows]).masked_fill_(hidden[rows], HIDDEN).topk(count, dim=1)
        tokens[rows] = best.indices.masked_fill(best.values == HIDDEN, -1)
    return tokens


def _ranks(
    scores: Tensor, candidates: int, seen: dict[Masking, Tensor], targets: Tensor, there: NDArray[np.bool_]
) -> dict[Masking, NDArray[np.int64]]:
    """(B, M) under each masking: 1 + candidates, no targets, that score at least as much as each of the targets (B, M).

    `there` (B, M): which of them are asked for.
    """
    others = torch.ones(scores.shape, dtype=torch.bool, device=scores.device)  # (B, V), what can be ahead of a target
    others[:, candidates:] = False
    others.scatter_(1, targets, False)
    shown: dict[Masking, Tensor] = {masking: others & ~marks for masking, marks in seen.items()}
    ranks: dict[Masking, NDArray[np.int64]] = {masking: np.ones(there.shape, dtype=np.int64) for masking in MASKINGS}
    for place in range(there.shape[1]):
        rows = np.flatnonzero(there[:, place])
        which = slice(None) if len(rows) == len(there) else torch.from_numpy(rows).to(scores.device)
        own = scores[which]
        ahead = own >= own.gather(1, targets[which, place : place + 1])
        for masking, mask in shown.items():
            counted = (ahead & mask[which]).view(
                torch.uint8
            )  # a sum of booleans would first make 64-bit numbers of them
            ranks[masking][rows, place] += counted.sum(dim=1, dtype=torch.int32).cpu().numpy()
    return ranks


def _targets(histories: Histories, cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(B, M) the targets of each case, and which of them are there: no more than the case has, and each once.

    Equal ones lie side by side, since the order of what is tied goes by user and item.
    """
    assert cases.num_targets is not None
    counts = cases.num_targets[:, None]
    reach = np.arange(counts.max())
    places = cases.ends[:, None] + np.minimum(reach, counts - 1)
    tokens = histories.tokens[places].astype(np.int64)
    there = reach < counts
    there[:, 1:] &= tokens[:, 1:] != tokens[:, :-1]
    return tokens, there


def _places(ranks: NDArray[np.int64], there: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(B, M) → (B, 20): each case's places in a list, best first, then 0."""
    number = np.arange(ranks.shape[1])
    ordered = np.sort(np.where(there, ranks, np.iinfo(np.int64).max), axis=1)
    places = np.where(number < there.sum(axis=1)[:, None], ordered + number, 0)[:, :MAX_K]
    return np.pad(places, ((0, 0), (0, MAX_K - places.shape[1]))).astype(np.int32)


def _among(marks: Tensor, top: Tensor) -> Tensor:
    """(B, K) bool: which listed tokens are marked in (B, V); an empty place is not."""
    return marks.gather(1, top.clamp(min=0)) & (top >= 0)


def _repeats(marked: Tensor) -> NDArray[np.uint8]:
    """(B, ≤ MAX_K) bool → (B, MAX_K) counts among the first 1 to MAX_K."""
    counts = marked.cumsum(dim=1).to(torch.uint8).cpu().numpy()
    return np.pad(counts, ((0, 0), (0, MAX_K - counts.shape[1])), mode="edge")


def _list(tokens: Tensor) -> NDArray[np.int32]:
    """(B, ≤ MAX_K) tokens → (B, MAX_K), −1 where nothing is left to recommend."""
    listed = tokens.to(torch.int32).cpu().numpy()
    return np.pad(listed, ((0, 0), (0, MAX_K - listed.shape[1])), constant_values=-1)
