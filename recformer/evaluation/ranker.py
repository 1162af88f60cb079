"""From a model's logits to ranks. The only part of evaluation that computes with torch."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.evaluation.native_ranks import native_model, native_ranks
from recformer.evaluation.ranks import Progress, Ranks, batches, concatenate
from recformer.evaluation.torch_ranks import torch_ranks, with_all_targets

BATCH = 512  # logits of 512 × 3885 float32 are 8 MB: near what the caches of two cores hold
THREADS = torch.get_num_threads()

_Work = Callable[[NDArray[np.int64]], Ranks]


def rank_cases(
    model: nn.Module,
    prepared: Prepared,
    rows: NDArray[np.int64],
    device: torch.device,
    progress: Progress | None = None,
    inputs: int | None = None,
) -> Ranks:
    """Ranks of the cases `rows` (N,) of the prepared windows. Raises NotNumbersError when a score is not a number.

    `inputs`: how many of a window's latest tokens the model reads; all where None.
    """
    windows, items_only = prepared.windows, prepared.split.item_set == "items"
    native = native_model(model)

    def ranked(batch: NDArray[np.int64]) -> Ranks:
        targets = prepared.split.targets_of(batch)
        if native is None:
            scores = _logits(model, windows, batch, device, inputs)
        elif targets is None:
            return native.ranks(_inputs(windows, batch, inputs), windows, batch, _candidates(windows, items_only))
        else:
            scores = native.scores(_inputs(windows, batch, inputs), windows.users[batch])
        return rank_batch(scores, windows, batch, items_only, targets)

    parts: list[Ranks] = []
    with _evaluating(model), _at_once(device) as each:
        for part in each(ranked, batches(rows, BATCH)):
            parts.append(part)
            if progress is not None:
                progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)


def score(
    model: nn.Module, windows: Windows, rows: NDArray[np.int64], device: torch.device
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches of `rows` with the model's logits (B, V), in evaluation mode and without gradients."""
    with _evaluating(model):
        for batch in batches(rows, BATCH):
            yield batch, _logits(model, windows, batch, device)


def _logits(
    model: nn.Module, windows: Windows, rows: NDArray[np.int64], device: torch.device, inputs: int | None = None
) -> Tensor:
    """(B, V) without gradients, from the latest `inputs` tokens of each window."""
    tokens = torch.from_numpy(_inputs(windows, rows, inputs)).to(device)
    with torch.no_grad():
        return model(tokens, torch.from_numpy(windows.users[rows]).to(device))


def _inputs(windows: Windows, rows: NDArray[np.int64], inputs: int | None) -> NDArray[np.int32]:
    return windows.inputs(rows)[:, -(inputs or windows.size) :]


@contextmanager
def _evaluating(model: nn.Module) -> Generator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def _at_once(device: torch.device) -> Generator[Callable[[_Work, Iterator[NDArray[np.int64]]], Iterator[Ranks]]]:
    """What maps work over batches, keeping their order: on processors one batch each, elsewhere one after the other.

    PyTorch would rather share each operation among the processors, which then wait for one another a hundred times a
    batch. Where a training runs beside it, that takes several times as long.
    """
    if device.type != "cpu":
        yield map
        return
    pool = ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(THREADS)


def rank_batch(
    logits: Tensor,
    windows: Windows,
    rows: NDArray[np.int64],
    items_only: bool,
    targets: NDArray[np.int64] | None = None,
) -> Ranks:
    """Ranks of one batch. Raises NotNumbersError when a candidate's score is not a number.

    Args:
        logits: (B, V) scores of all tokens.
        windows: where input, target and history of each row come from.
        rows: (B,) rows of `windows`.
        items_only: rank the catalogue's items alone, not SOS and EOS.
        targets: (B,) how many tokens from a row's target on are its targets, None: one each.
    """
    candidates = _candidates(windows, items_only)
    found = native_ranks(logits, windows, rows, candidates) or torch_ranks(logits, windows, rows, candidates)
    return found if targets is None else with_all_targets(found, logits, windows, rows, candidates, targets)


def _candidates(windows: Windows, items_only: bool) -> int:
    return windows.num_items if items_only else windows.num_tokens
