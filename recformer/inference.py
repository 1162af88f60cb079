"""What a model would recommend: the top k for a user's window, with a movie's marks and the held-out movie's rank."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from recformer.data.dataset import Dataset
from recformer.errors import DataError, EvaluationError, UsageError
from recformer.evaluation.ranks import Masking

MAX_LIST = 100


@dataclass(frozen=True, eq=False)
class Situation:
    """What is known of a user when asked for the next movie: input window, what came before it, what came next."""

    user: int
    """The dataset's user id."""
    user_token: int
    window: NDArray[np.int64]
    """(T,) tokens; SOS may be the first."""
    history: NDArray[np.int64]
    """(n,) item tokens before the held-out one, in the order of time."""
    target: int
    """Item token of the held-out movie, the user's last one."""


@dataclass(frozen=True)
class Recommendation:
    """One place of a list."""

    rank: int
    item_token: int
    item_id: int
    title: str
    score: float
    """Share of the probability over all movies before masking."""
    hit: bool
    """It is the held-out movie."""
    repeat_window: bool
    """It is in the input window."""
    seen: bool
    """It is in the user's history."""


@dataclass(frozen=True)
class Recommendations:
    """A model's list for one situation, and where it ranks the held-out movie under the same masking."""

    items: list[Recommendation]
    target_rank: int


def situation_of(dataset: Dataset, user: int, window: int) -> Situation:
    """The situation before a user's last movie, which is the test case of leave_last_out.

    Raises UsageError for a user id that is not there, DataError for a history too short for the window.
    """
    token = int(np.searchsorted(dataset.user_ids, user))
    if token >= dataset.num_users or dataset.user_ids[token] != user:
        first, last = dataset.user_ids[0], dataset.user_ids[-1]
        raise UsageError(f"user {user} is not in {dataset.name}; its user ids go from {first} to {last}")
    history = dataset.history(token).astype(np.int64)
    if len(history) < window:
        raise DataError(
            f"user {user} has {len(history)} movies; a window of {window} and a held-out movie need {window} or more"
        )
    before = np.concatenate([[dataset.num_items], history[:-1]])  # SOS first
    return Situation(user, token, before[-window:], history[:-1], int(history[-1]))


def recommend(model: nn.Module, dataset: Dataset, situation: Situation, k: int, masking: Masking) -> Recommendations:
    """The model's first `k` movies for a situation, with `masking` taken out of the ranking.

    Raises UsageError for a k outside of 1 to 100, EvaluationError when scores are not numbers.
    """
    if not 1 <= k <= MAX_LIST:
        raise UsageError(f"k = {k} is not allowed: use a whole number from 1 to {MAX_LIST}")
    scores = _scores(model, dataset, situation)  # (I,)
    hidden = {"none": np.array([], np.int64), "window": situation.window, "history": situation.history}[masking]
    shown = np.ones(dataset.num_items, dtype=bool)
    shown[hidden[hidden < dataset.num_items]] = False
    shown[situation.target] = True  # what is looked for is never masked
    candidates = np.flatnonzero(shown)
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    target_rank = int((scores[candidates] >= scores[situation.target]).sum())
    return Recommendations(
        [_describe(dataset, situation, rank, int(item), probabilities) for rank, item in enumerate(order, start=1)],
        target_rank,
    )


def _scores(model: nn.Module, dataset: Dataset, situation: Situation) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        tokens = torch.from_numpy(situation.window)[None].to(device)  # (1, T)
        logits = model(tokens, torch.tensor([situation.user_token], device=device))[0]  # (V,)
    scores = logits[: dataset.num_items].double().cpu().numpy()
    if not np.isfinite(scores).all():
        raise EvaluationError("the model gives scores that are not numbers: its weights are damaged or diverged")
    return scores


def _describe(
    dataset: Dataset, situation: Situation, rank: int, item: int, probabilities: NDArray[np.float64]
) -> Recommendation:
    return Recommendation(
        rank=rank,
        item_token=item,
        item_id=int(dataset.item_ids[item]),
        title=display_title(dataset, item),
        score=float(probabilities[item]),
        hit=item == situation.target,
        repeat_window=item in situation.window,
        seen=item in situation.history,
    )


def display_title(dataset: Dataset, item: int) -> str:
    """Title with its year where that is known: "Toy Story (1995)"."""
    row = dataset.movies.iloc[item]
    return str(row["title"]) if pd.isna(row["year"]) else f"{row['title']} ({row['year']})"
