"""What if: a window that somebody made up, and which of its movies move a recommendation most.

A window with fewer movies than the model reads is opened with SOS. In training SOS stands once, just before a history,
so only the first places of a history ever had it beside them, and never two of it. Each further SOS says "before that,
nothing": the model has not seen it said twice, so the fewer movies a window has, the more it guesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.ranks import Masking
from recformer.recommend.scores import (
    UserCase,
    candidates,
    item_tokens_of,
    log_probabilities,
    rank_of,
    share_of,
    user_token_of,
)


def imagined(dataset: Dataset, movies: Sequence[int], window: int, user: int | None) -> UserCase:
    """The user_case of somebody whose latest movies are `movies`; there is no held-out movie.

    Args:
        movies: item ids, oldest first, at most `window`.
        window: T, the tokens that the model reads.
        user: whose taste and history it is, by id; None for nobody of the dataset, whose history is the window.

    Raises UsageError for ids that are not there, and for more movies than the window holds.
    """
    items = item_tokens_of(dataset, movies)
    if len(items) > window:
        raise UsageError(f"{len(items)} movies do not fit a window of {window}: name at most {window}")
    filled = opened(items, window, dataset.num_items)
    if user is None:
        return UserCase(None, None, filled, items, None)
    token = user_token_of(dataset, user)
    before = dataset.history(token)[:-1].astype(np.int64)
    return UserCase(user, token, filled, np.concatenate([before, items[~np.isin(items, before)]]), None)


def opened(items: NDArray[np.int64], window: int, sos: int) -> NDArray[np.int64]:
    """(T,) `items` (n,) with SOS before them: [a b] in a window of 4 is [SOS SOS a b]."""
    return np.concatenate([np.full(window - len(items), sos, dtype=np.int64), items])


@dataclass(frozen=True, eq=False)
class NextScores:
    """What a model expects next: log-probabilities of all movies, with the whole window and with a movie less."""

    whole: NDArray[np.float64]
    """(I,)"""
    without: NDArray[np.float64]
    """(n, I) one row for each movie of the window, oldest first: what is expected when that one is left out."""


def next_scores_of(model: nn.Module, dataset: Dataset, user_case: UserCase) -> NextScores:
    """List and explanations need no more than this, and it is one forward pass.

    Raises NotNumbersError when scores are not numbers.
    """
    windows = np.concatenate([user_case.window[None], left_out(user_case.window, dataset.num_items)])
    users = user_case.asked_as(dataset.num_users)
    scores = log_probabilities(model, dataset.num_items, windows, users)
    return NextScores(scores[0], scores[1:])


def left_out(window: NDArray[np.int64], sos: int) -> NDArray[np.int64]:
    """(n, T) the window (T,) without each of its n movies in turn, opened with one SOS more.

    That is the window one gets by taking the movie out by hand: [SOS a b] gives [SOS SOS b] and [SOS SOS a].
    """
    items = window[window != sos]
    shorter = [opened(np.delete(items, place), len(window), sos) for place in range(len(items))]
    return np.array(shorter, dtype=np.int64).reshape(len(items), len(window))


@dataclass(frozen=True)
class Reason:
    """What one movie of the window does for the movie that is explained."""

    item_token: int
    lift: float
    """Log-probability with it minus without it: above 0 it speaks for the movie, ln 2 = 0.69 doubles its chance."""
    share: float
    """The explained movie's share of the probability without it."""
    rank: int
    """The explained movie's rank without it."""


@dataclass(frozen=True)
class Why:
    """Why a model ranks a movie where it does."""

    item_token: int
    share: float
    rank: int
    reasons: list[Reason]
    """One for each movie of the window, oldest first."""


def explain(next_scores: NextScores, user_case: UserCase, masking: Masking, item: int) -> Why:
    """Leave each movie of the window out in turn and see what becomes of the movie with token `item`.

    What is ranked stays the same throughout (`masking` of the whole window; the explained movie itself is always
    ranked), so a change of rank comes from the model alone.
    """
    num_items = len(next_scores.whole)
    shown = candidates(user_case, num_items, masking, user_case.target, item)
    window = user_case.window[user_case.window < num_items]
    reasons = [
        Reason(
            int(left),
            float(next_scores.whole[item] - scores[item]),
            share_of(scores, item),
            rank_of(scores, shown, item),
        )
        for left, scores in zip(window, next_scores.without, strict=True)
    ]
    return Why(item, share_of(next_scores.whole, item), rank_of(next_scores.whole, shown, item), reasons)
