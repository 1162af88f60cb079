"""From a model's logits to ranks. The only part of evaluation that computes with torch."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.errors import EvaluationError
from recformer.evaluation.ranks import MAX_K, Progress, Ranks, batches, concatenate

BATCH = 2048  # logits of 2048 × 3885 float32 are 32 MB


def rank_cases(
    model: nn.Module,
    prepared: Prepared,
    rows: NDArray[np.int64],
    device: torch.device,
    progress: Progress | None = None,
    inputs: int | None = None,
) -> Ranks:
    """Ranks of the cases `rows` (N,) of the prepared windows. Raises EvaluationError when a score is not a number.

    `inputs`: how many of a window's latest tokens the model reads; all where None.
    """
    parts: list[Ranks] = []
    for batch, logits in score(model, prepared.windows, rows, device, inputs):
        parts.append(rank_batch(logits, prepared.windows, batch, prepared.split.item_set == "items"))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)


def score(
    model: nn.Module,
    windows: Windows,
    rows: NDArray[np.int64],
    device: torch.device,
    inputs: int | None = None,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches of `rows` with the model's logits (B, V), in evaluation mode and without gradients."""
    inputs = inputs or windows.size
    was_training = model.training
    model.eval()
    try:
        for batch in batches(rows, BATCH):
            tokens = torch.from_numpy(windows.inputs(batch)[:, -inputs:]).to(device)
            users = torch.from_numpy(windows.users[batch]).to(device)
            with torch.no_grad():
                logits = model(tokens, users)
            yield batch, logits
    finally:
        model.train(was_training)


def rank_batch(logits: Tensor, windows: Windows, rows: NDArray[np.int64], items_only: bool) -> Ranks:
    """Ranks of one batch.

    Args:
        logits: (B, V) scores of all tokens.
        windows: where input, target and history of each row come from.
        rows: (B,) rows of `windows`.
        items_only: rank the catalogue's items alone, not SOS and EOS.
    """
    candidates = windows.num_items if items_only else windows.num_tokens
    scores = logits[:, :candidates]  # (B, C): item tokens come first
    if bool(torch.isnan(scores).any()):
        raise EvaluationError("the model gives scores that are not numbers: its weights are damaged or diverged")
    target = torch.from_numpy(windows.targets(rows)).to(logits.device, torch.int64)[:, None]  # (B, 1)
    ahead = scores >= scores.gather(1, target)  # (B, C), the target itself among them
    window = _marks(windows, rows, np.full(len(rows), windows.size), logits)[:, :candidates]
    lengths = windows.target_positions(rows) - windows.user_starts[windows.users[rows]]
    history = _marks(windows, rows, lengths, logits)[:, :candidates]
    # What is looked for keeps its place in every list, as in the rank.
    hidden_window, hidden_history = (marks.scatter(1, target, False) for marks in (window, history))
    top = scores.topk(min(MAX_K + windows.size, candidates), dim=1).indices  # (B, K + T)
    in_window, in_history = window.gather(1, top), history.gather(1, top)
    unmasked_first = hidden_window.gather(1, top).to(torch.uint8).argsort(dim=1, stable=True)  # the window's to the end
    unseen = scores.masked_fill(hidden_history, -torch.inf).topk(min(MAX_K, candidates), dim=1).indices
    return Ranks(
        user=windows.users[rows],
        target=windows.targets(rows),
        rank_none=_count(ahead),
        rank_window=_count(ahead & ~hidden_window),
        rank_history=_count(ahead & ~hidden_history),
        window_repeats_none=_repeats(in_window),
        history_repeats_none=_repeats(in_history),
        history_repeats_window=_repeats((in_history & ~in_window).gather(1, unmasked_first)),
        top_none=_list(top, None),
        top_window=_list(top.gather(1, unmasked_first), hidden_window),
        top_history=_list(unseen, hidden_history),
    )


def _marks(windows: Windows, rows: NDArray[np.int64], lengths: NDArray[np.int64], like: Tensor) -> Tensor:
    """(B, V) bool: the `lengths` (B,) tokens before each row's target."""
    ends = np.cumsum(lengths)
    steps = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    positions = np.repeat(windows.target_positions(rows) - lengths, lengths) + steps
    cells = np.repeat(np.arange(len(rows)) * windows.num_tokens, lengths) + windows.tokens[positions]
    marks = torch.zeros(len(rows) * windows.num_tokens, dtype=torch.bool, device=like.device)
    marks[torch.from_numpy(cells).to(like.device)] = True
    return marks.view(len(rows), windows.num_tokens)


def _count(marked: Tensor) -> NDArray[np.int32]:
    return marked.sum(dim=1, dtype=torch.int32).cpu().numpy()


def _repeats(marked: Tensor) -> NDArray[np.uint8]:
    """(B, ≥ MAX_K or fewer candidates) bool → (B, MAX_K) counts among the first 1 to MAX_K."""
    counts = marked[:, :MAX_K].cumsum(dim=1).to(torch.uint8).cpu().numpy()
    missing = MAX_K - counts.shape[1]
    return np.pad(counts, ((0, 0), (0, missing)), mode="edge") if missing else counts


def _list(tokens: Tensor, hidden: Tensor | None) -> NDArray[np.int32]:
    """(B, ≥ MAX_K or fewer candidates) tokens, best first → (B, MAX_K), −1 where nothing is left to recommend."""
    tokens = tokens[:, :MAX_K]
    if hidden is not None:
        tokens = tokens.masked_fill(hidden.gather(1, tokens), -1)
    listed = tokens.to(torch.int32).cpu().numpy()
    return np.pad(listed, ((0, 0), (0, MAX_K - listed.shape[1])), constant_values=-1)
