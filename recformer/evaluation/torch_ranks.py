"""From a model's scores to ranks with PyTorch: on a GPU, and where the native library cannot be had."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.data.windows import Windows
from recformer.evaluation.ranks import MAX_K, Ranks


def ranks_by_torch(logits: Tensor, windows: Windows, rows: NDArray[np.int64], candidates: int) -> Ranks | None:
    """Ranks of the cases `rows` (B,) from scores (B, V) on any device; None where a score is not a number.

    The first `candidates` tokens are ranked. Of equal scores the lower token is listed first.
    """
    if bool(logits[:, :candidates].isnan().any()):
        return None
    inputs = torch.from_numpy(windows.inputs(rows)).to(logits.device, torch.int64)  # (B, T)
    target = torch.from_numpy(windows.targets(rows)).to(logits.device, torch.int64)[:, None]  # (B, 1)
    history = history_of(windows, rows, logits.device)  # (B, V)
    hidden_history = history.scatter(1, target, False)  # what is looked for keeps its place in every list
    top, unseen = _lists(logits[:, :candidates], hidden_history[:, :candidates], MAX_K + windows.size)
    in_window = (top[:, :, None] == inputs[:, None, :]).any(dim=2)  # (B, K + T)
    in_history = history.gather(1, top)
    hidden_window = in_window & (top != target)
    window_last = _last(hidden_window)
    rank_none, rank_window, rank_history = _ranks(logits, candidates, target, inputs, hidden_history)
    return Ranks(
        user=windows.users[rows],
        target=windows.targets(rows),
        rank_none=rank_none,
        rank_window=rank_window,
        rank_history=rank_history,
        window_repeats_none=_repeats(in_window),
        history_repeats_none=_repeats(in_history),
        history_repeats_window=_repeats((in_history & ~in_window).gather(1, window_last)),
        top_none=_list(top),
        top_window=_list(top.masked_fill(hidden_window, -1).gather(1, window_last)),
        top_history=_list(unseen.masked_fill(hidden_history.gather(1, unseen), -1)),
    )


def history_of(windows: Windows, rows: NDArray[np.int64], device: torch.device) -> Tensor:
    """(B, V) bool: the tokens before each row's target."""
    targets = windows.target_positions(rows)
    lengths = targets - windows.user_starts[windows.users[rows]]
    ends = np.cumsum(lengths)
    positions = np.arange(ends[-1]) + np.repeat(targets - ends, lengths)
    cells = np.repeat(np.arange(len(rows)) * windows.num_tokens, lengths) + windows.tokens[positions]
    marks = torch.zeros(len(rows) * windows.num_tokens, dtype=torch.bool, device=device)
    marks[torch.from_numpy(cells).to(device)] = True
    return marks.view(len(rows), windows.num_tokens)


def _lists(scores: Tensor, hidden: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The first `length` candidates of each row, and the first MAX_K that are not hidden, best first.

    One search gives both where it finds MAX_K that are not hidden. The other rows are sorted, as are those with equal
    scores, which topk orders in no way that could be told.

    Args:
        scores: (B, C); hidden: (B, C) bool.

    Returns:
        (B, `length`) and (B, MAX_K) int64, fewer columns where there are fewer candidates.
    """
    candidates = scores.shape[1]
    length, shown = min(length, candidates), min(MAX_K, candidates)
    found = scores.topk(min(length + MAX_K, candidates), dim=1)
    values, tokens = found.values, found.indices  # (B, D)
    passed = hidden.gather(1, tokens)
    top, unseen = tokens[:, :length], tokens.gather(1, _last(passed)[:, :shown])
    # The last one found may equal the first that was not.
    enough = (~passed[:, :-1]).sum(dim=1) >= shown
    certain = enough & (values[:, 1:] < values[:, :-1]).all(dim=1)
    again = certain.logical_not().nonzero()[:, 0]
    if len(again):
        order = scores[again].sort(dim=1, descending=True, stable=True).indices
        top[again] = order[:, :length]
        unseen[again] = order.gather(1, _last(hidden[again].gather(1, order))[:, :shown])
    return top, unseen


def _ranks(
    logits: Tensor, candidates: int, target: Tensor, inputs: Tensor, hidden_history: Tensor
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Ranks with nothing, the window and the history masked: how many candidates score at least as much, each (B,).

    They are marked with 1.0, since PyTorch compares into float32 and adds it up much faster than bool.
    """
    ahead = torch.empty(logits.shape, device=logits.device)  # (B, V), the target itself among them
    torch.ge(logits, logits.gather(1, target), out=ahead)
    ahead[:, candidates:] = 0
    none = _count(ahead)
    window = _count(ahead.scatter_(1, inputs, 0).scatter_(1, target, 1))
    return none, window, _count(ahead.masked_fill_(hidden_history, 0))


def _count(marked: Tensor) -> NDArray[np.int32]:
    return marked.sum(dim=1).to(torch.int32).cpu().numpy()


def _last(hidden: Tensor) -> Tensor:
    """(B, D) bool → (B, D) int64: the order in which what is hidden comes last."""
    return hidden.to(torch.uint8).argsort(dim=1, stable=True)


def _repeats(marked: Tensor) -> NDArray[np.uint8]:
    """(B, ≥ MAX_K or fewer candidates) bool → (B, MAX_K) counts among the first 1 to MAX_K."""
    counts = marked[:, :MAX_K].cumsum(dim=1).to(torch.uint8).cpu().numpy()
    missing = MAX_K - counts.shape[1]
    return np.pad(counts, ((0, 0), (0, missing)), mode="edge") if missing else counts


def _list(tokens: Tensor) -> NDArray[np.int32]:
    """(B, ≥ MAX_K or fewer candidates) tokens → (B, MAX_K), −1 where nothing is left to recommend."""
    listed = tokens[:, :MAX_K].to(torch.int32).cpu().numpy()
    return np.pad(listed, ((0, 0), (0, MAX_K - listed.shape[1])), constant_values=-1)
