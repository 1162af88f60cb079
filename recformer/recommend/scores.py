"""What a model expects next: scores of all items, and from them its list, what masking does to it, and why."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recformer.data.dataset import Dataset, id_at
from recformer.errors import NotNumbersError, UsageError
from recformer.evaluation.ranks import MASKINGS, Masking
from recformer.recommend.user_case import UserCase, as_read, display_title

MAX_LIST = 100
NextScores = NDArray[np.float64]
"""(1 + n, I) log-probabilities of all items: with the whole history, and without each of its n latest items in turn,
oldest first."""


def next_scores_of(model: nn.Module, length: int, dataset: Dataset, user_case: UserCase) -> NextScores:
    """Lists and explanations need no more than this, and it is one forward pass; the model reads `length` items.

    An item is left out as somebody takes it out by hand: an older one, where there is one, comes into the model's
    reach. Raises NotNumbersError.
    """
    whole = user_case.sequence
    asked = range(len(whole) - user_case.asked, len(whole))
    sequences = [whole, *(np.delete(whole, place) for place in asked)]
    windows = np.stack([as_read(sequence, length, dataset.num_items) for sequence in sequences])
    return log_probabilities(model, dataset.num_items, windows, user_case.asked_as(dataset.num_users))


def log_probabilities(
    model: nn.Module, num_items: int, windows: NDArray[np.int64], users: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log-probability of every item to be the next one, by one forward pass.

    Args:
        model: in evaluation mode or not, it is put there.
        num_items: I; SOS and EOS are no items.
        windows: (W, T) tokens.
        users: (C,) user tokens; with several, their log-probabilities are averaged.

    Returns (W, I) float64. Raises NotNumbersError when scores are not numbers.
    """
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        tokens = torch.from_numpy(windows).to(device).repeat_interleave(len(users), dim=0)  # (W · C, T)
        asked = torch.from_numpy(users).to(device).repeat(len(windows))  # (W · C,)
        logits = model(tokens, asked)[:, :num_items].double()  # (W · C, I)
        mean = logits.log_softmax(dim=1).view(len(windows), len(users), num_items).mean(dim=1)
    scores = mean.cpu().numpy()
    if not np.isfinite(scores).all():
        raise NotNumbersError
    return scores


def rank_of(scores: NDArray[np.float64], shown: NDArray[np.bool_], item: int) -> int:
    """1 + other shown items that score at least as much as `item`, which is shown. `scores` and `shown` are (I,)."""
    return int((scores[shown] >= scores[item]).sum())


def top(scores: NDArray[np.float64], shown: NDArray[np.bool_], k: int) -> list[int]:
    """The first `k` of the shown items by score, best first. Raises UsageError for a k outside of 1 to 100."""
    if not 1 <= k <= MAX_LIST:
        raise UsageError(f"k = {k} is not allowed: use a whole number from 1 to {MAX_LIST}")
    places = np.flatnonzero(shown)
    return places[np.argsort(-scores[places], kind="stable")][:k].tolist()


def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities (I,) as shares that sum to 1; the mean of several users' does not by itself."""
    positive = np.exp(scores - scores.max())
    return positive / positive.sum()


def listed(
    scores: NDArray[np.float64], dataset: Dataset, user_case: UserCase, k: int, masking: Masking
) -> list[dict[str, Any]]:
    """The list that log-probabilities (I,) give, best first.

    "score" is the share of the probability over all items before masking; "hit": it is the held-out item;
    "repeat_window": it is in the window; "seen": it is in the history. Raises UsageError for a k outside of 1 to
    100.
    """
    shown, share = user_case.candidates(dataset.num_items, masking), shares(scores)
    return [
        entry(dataset, user_case, rank, item, float(share[item]))
        for rank, item in enumerate(top(scores, shown, k), start=1)
    ]


def entry(dataset: Dataset, user_case: UserCase, rank: int, item: int, score: float | None) -> dict[str, Any]:
    """What is said of the item with a token at a place of a list; see `listed`."""
    return {
        "rank": rank,
        "item_id": id_at(dataset.item_ids, item),
        "title": display_title(dataset, item),
        "score": score,
        "hit": item == user_case.target,
        "repeat_window": item in user_case.window,
        "seen": item in user_case.history,
    }


def target_ranks(scores: NDArray[np.float64], user_case: UserCase) -> dict[Masking, int] | None:
    """The held-out item's rank under each masking; None where no item is held out."""
    target, count = user_case.target, len(scores)
    if target is None:
        return None
    return {masking: rank_of(scores, user_case.candidates(count, masking), target) for masking in MASKINGS}


def taken_out(scores: NDArray[np.float64], user_case: UserCase, k: int) -> dict[Masking, list[int]]:
    """Item tokens of the raw top k of log-probabilities (I,) that each masking takes out, best first."""
    shown = {masking: user_case.candidates(len(scores), masking) for masking in MASKINGS}
    raw = top(scores, shown["none"], k)
    return {masking: [item for item in raw if not shown[masking][item]] for masking in MASKINGS}


def explain(
    next_scores: NextScores, dataset: Dataset, user_case: UserCase, masking: Masking, item: int
) -> dict[str, Any]:
    """Leave each of the latest items out in turn and see what becomes of the item with token `item`.

    A reason's "lift" is the log-probability with the item minus without it: above 0 it speaks for the item explained,
    ln 2 = 0.69 doubles its chance. What is ranked stays the same throughout (`masking` of the whole history; the item
    explained itself is always ranked), so a change of rank comes from the model alone.
    """
    shown = user_case.candidates(dataset.num_items, masking, item)
    whole, *without = next_scores
    return {
        "score": float(shares(whole)[item]),
        "rank": rank_of(whole, shown, item),
        "reasons": [
            {
                "item_id": id_at(dataset.item_ids, left),
                "title": display_title(dataset, left),
                "lift": float(whole[item] - scores[item]),
                "score_without": float(shares(scores)[item]),
                "rank_without": rank_of(scores, shown, item),
            }
            for left, scores in zip(user_case.latest, without, strict=True)
        ],
    }
