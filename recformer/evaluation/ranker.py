"""From a model's logits to ranks. The only part of evaluation that computes with torch."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recformer.data.histories import Cases, Histories
from recformer.data.prepared import Prepared
from recformer.evaluation.native_ranks import native_model, native_ranks
from recformer.evaluation.ranks import RECENT, Progress, Ranks, batches, concatenate, reordered
from recformer.evaluation.torch_ranks import torch_ranks, with_all_targets

BATCH = 512  # logits of 512 × 3885 float32 are 8 MB: near what the caches of two cores hold
THREADS = torch.get_num_threads()

_Work = Callable[[Cases], Ranks]


def rank_cases(
    model: nn.Module,
    prepared: Prepared,
    cases: Cases,
    window: int,
    device: torch.device,
    progress: Progress | None = None,
    recent: int = RECENT,
) -> Ranks:
    """Ranks of cases of the prepared histories. Raises NotNumbersError when a score is not a number.

    `window`: how many of the latest tokens the model reads; `recent`: how many are the case's window.
    """
    histories, item_set = prepared.histories, prepared.split.item_set
    native = native_model(model)
    order = quickest_order(model, histories, cases)

    def ranked(batch: Cases) -> Ranks:
        inputs = histories.inputs(batch, window)
        if native is not None and batch.num_targets is None:
            return native.ranks(inputs, histories, batch, _candidates(histories, item_set), recent)
        scores = _logits(model, inputs, batch, device) if native is None else native.scores(inputs, batch.users)
        return rank_batch(scores, histories, batch, item_set, recent)

    parts: list[Ranks] = []
    with _evaluating(model), _at_once(device) as each:
        for part in each(ranked, batches(cases[order], BATCH, histories.num_tokens)):
            parts.append(part)
            if progress is not None:
                progress(sum(len(part) for part in parts), len(cases))
    return reordered(concatenate(parts), np.argsort(order))


def quickest_order(model: nn.Module, histories: Histories, cases: Cases) -> NDArray[np.int64]:
    """(N,) the cases in the order in which batches of them are scored soonest: short histories together, where a model
    of whole histories would else read each batch as long as its longest."""
    if getattr(model, "TRAINED_ON", "") != "sequences":
        return np.arange(len(cases))
    return np.argsort(histories.lengths(cases), kind="stable")


def score(
    model: nn.Module, histories: Histories, cases: Cases, window: int, device: torch.device
) -> Iterator[tuple[Cases, Tensor, Tensor]]:
    """Batches of cases with what the model reads, (B, T) int64, and its logits (B, V), in evaluation mode and without
    gradients."""
    with _evaluating(model):
        for batch in batches(cases, BATCH, histories.num_tokens):
            inputs = histories.inputs(batch, window)
            yield batch, torch.from_numpy(inputs).to(device, torch.int64), _logits(model, inputs, batch, device)


def _logits(model: nn.Module, inputs: NDArray[np.int32], cases: Cases, device: torch.device) -> Tensor:
    """(B, V) without gradients, from inputs (B, T)."""
    with torch.no_grad():
        return model(torch.from_numpy(inputs).to(device), torch.from_numpy(cases.users).to(device))


@contextmanager
def _evaluating(model: nn.Module) -> Generator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def _at_once(device: torch.device) -> Generator[Callable[[_Work, Iterator[Cases]], Iterator[Ranks]]]:
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
    logits: Tensor, histories: Histories, cases: Cases, item_set: Literal["items", "tokens"], recent: int = RECENT
) -> Ranks:
    """Ranks of one batch. Raises NotNumbersError when a candidate's score is not a number.

    Args:
        logits: (B, V) scores of all tokens.
        histories: what the cases are of.
        cases: (B) of them.
        item_set: what is ranked: the catalogue's items alone, or SOS and EOS too.
        recent: how many of the latest tokens are the case's window.
    """
    candidates = _candidates(histories, item_set)
    found = native_ranks(logits, histories, cases, candidates, recent)
    found = found or torch_ranks(logits, histories, cases, candidates, recent)
    return found if cases.num_targets is None else with_all_targets(found, logits, histories, cases, candidates, recent)


def _candidates(histories: Histories, item_set: Literal["items", "tokens"]) -> int:
    return histories.num_items if item_set == "items" else histories.num_tokens
