"""What a model would recommend: the top k for a user's window, with a movie's marks and the held-out movie's rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from recformer.data.dataset import Dataset
from recformer.errors import DataError, NotNumbersError, UsageError
from recformer.evaluation.ranks import MASKINGS, Masking

MAX_LIST = 100
CROWD = 64
"""Users that stand in for nobody; see `asked_as`."""


@dataclass(frozen=True, eq=False)
class UserCase:
    """What is known of somebody when asked for the next movie: input window, what came before it, what came next."""

    user: int | None
    """The dataset's user id; None for nobody of the dataset."""
    user_token: int | None
    window: NDArray[np.int64]
    """(T,) tokens; SOS may be the first."""
    history: NDArray[np.int64]
    """(n,) item tokens before the held-out one, in the order of time."""
    target: int | None
    """Item token of the held-out movie, the user's last one; None where the window is made up."""

    def asked_as(self, num_users: int) -> NDArray[np.int64]:
        """(C,) user tokens to ask a model as: the user's own, or for nobody 64 spread evenly over the dataset.

        Models know users by a vector of their own, and nobody has none. The mean over many users is what the model
        expects of somebody of whom only the window is known.
        """
        if self.user_token is not None:
            return np.array([self.user_token])
        return np.unique(np.linspace(0, num_users - 1, CROWD).round().astype(np.int64))


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
    """A model's list for one user_case, and where it ranks the held-out movie under the same masking."""

    items: list[Recommendation]
    target_rank: int | None
    """None where no movie is held out."""


def user_token_of(dataset: Dataset, user: int) -> int:
    """The token of a user id. Raises UsageError for an id that is not there."""
    token = int(np.searchsorted(dataset.user_ids, user))
    if token >= dataset.num_users or dataset.user_ids[token] != user:
        first, last = dataset.user_ids[0], dataset.user_ids[-1]
        raise UsageError(f"user {user} is not in {dataset.name}; its user ids go from {first} to {last}")
    return token


def user_case_of(dataset: Dataset, user: int, window: int) -> UserCase:
    """The user_case before a user's last movie, which is the test case of leave_last_out.

    Raises UsageError for a user id that is not there, DataError for a history too short for the window.
    """
    token = user_token_of(dataset, user)
    history = dataset.history(token).astype(np.int64)
    if len(history) < window:
        raise DataError(
            f"user {user} has {len(history)} movies; a window of {window} and a held-out movie need {window} or more"
        )
    before = np.concatenate([[dataset.num_items], history[:-1]])  # SOS first
    return UserCase(user, token, before[-window:], history[:-1], int(history[-1]))


def recommend(model: nn.Module, dataset: Dataset, user_case: UserCase, k: int, masking: Masking) -> Recommendations:
    """The model's first `k` movies for a user_case, with `masking` taken out of the ranking.

    Raises UsageError for a k outside of 1 to 100, NotNumbersError when scores are not numbers.
    """
    users = user_case.asked_as(dataset.num_users)
    scores = log_probabilities(model, dataset.num_items, user_case.window[None], users)[0]
    return listed(scores, dataset, user_case, k, masking)


def log_probabilities(
    model: nn.Module, num_items: int, windows: NDArray[np.int64], users: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log-probability of every movie to be the next one, by one forward pass.

    Args:
        model: in evaluation mode or not, it is put there.
        num_items: I; SOS and EOS are no movies.
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


def candidates(user_case: UserCase, num_items: int, masking: Masking, *always: int | None) -> NDArray[np.bool_]:
    """(I,) which movies are ranked under `masking`; those in `always` are, whatever is masked."""
    hidden = {"none": np.array([], np.int64), "window": user_case.window, "history": user_case.history}[masking]
    shown = np.ones(num_items, dtype=bool)
    shown[hidden[hidden < num_items]] = False
    shown[[item for item in always if item is not None]] = True
    return shown


def rank_of(scores: NDArray[np.float64], shown: NDArray[np.bool_], item: int) -> int:
    """1 + other shown movies that score at least as much as `item`, which is shown. `scores` and `shown` are (I,)."""
    return int((scores[shown] >= scores[item]).sum())


def listed(
    scores: NDArray[np.float64], dataset: Dataset, user_case: UserCase, k: int, masking: Masking
) -> Recommendations:
    """The list that log-probabilities (I,) give. Raises UsageError for a k outside of 1 to 100."""
    shown = candidates(user_case, dataset.num_items, masking, user_case.target)  # what is looked for is never masked
    shares = _shares(scores)
    items = [
        _describe(dataset, user_case, rank, int(item), shares)
        for rank, item in enumerate(top(scores, shown, k), start=1)
    ]
    return Recommendations(items, None if user_case.target is None else rank_of(scores, shown, user_case.target))


def top(scores: NDArray[np.float64], shown: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """The first `k` of the shown movies by score, best first. Raises UsageError for a k outside of 1 to 100."""
    if not 1 <= k <= MAX_LIST:
        raise UsageError(f"k = {k} is not allowed: use a whole number from 1 to {MAX_LIST}")
    places = np.flatnonzero(shown)
    return places[np.argsort(-scores[places], kind="stable")][:k]


@dataclass(frozen=True)
class MaskingEffect:
    """What masking does to one model's list."""

    target_ranks: dict[Masking, int] | None
    """The held-out movie's rank under each masking; None where no movie is held out."""
    taken_out: dict[Masking, list[int]]
    """Item tokens of the raw top k that each masking takes out, best first."""


def masking_effect(scores: NDArray[np.float64], user_case: UserCase, k: int) -> MaskingEffect:
    """What each masking changes in the raw top k of log-probabilities (I,), and in the held-out movie's rank."""
    shown = {masking: candidates(user_case, len(scores), masking, user_case.target) for masking in MASKINGS}
    raw = top(scores, shown["none"], k)
    target = user_case.target
    ranks: dict[Masking, int] | None = None
    if target is not None:
        ranks = {masking: rank_of(scores, shown[masking], target) for masking in MASKINGS}
    return MaskingEffect(ranks, {masking: raw[~shown[masking][raw]].tolist() for masking in MASKINGS})


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities (I,) as shares that sum to 1; the mean of several users' does not by itself."""
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def share_of(scores: NDArray[np.float64], item: int) -> float:
    """The share of the probability over all movies that log-probabilities (I,) give `item`."""
    return float(_shares(scores)[item])


def _describe(
    dataset: Dataset, user_case: UserCase, rank: int, item: int, shares: NDArray[np.float64]
) -> Recommendation:
    return Recommendation(
        rank=rank,
        item_token=item,
        item_id=int(dataset.item_ids[item]),
        title=display_title(dataset, item),
        score=float(shares[item]),
        hit=item == user_case.target,
        repeat_window=item in user_case.window,
        seen=item in user_case.history,
    )


def item_tokens_of(dataset: Dataset, item_ids: Sequence[int]) -> NDArray[np.int64]:
    """(n,) tokens of item ids. Raises UsageError naming the ids that are not there."""
    places = [int(np.searchsorted(dataset.item_ids, item)) for item in item_ids]
    there = [
        place < dataset.num_items and dataset.item_ids[place] == item
        for place, item in zip(places, item_ids, strict=True)
    ]
    if not all(there):
        unknown = ", ".join(str(item) for item, known in zip(item_ids, there, strict=True) if not known)
        first, last = dataset.item_ids[0], dataset.item_ids[-1]
        raise UsageError(f"movie {unknown} is not in {dataset.name}; its movie ids go from {first} to {last}")
    return np.array(places, dtype=np.int64)


def display_title(dataset: Dataset, item: int) -> str:
    """Title with its year where that is known: "Toy Story (1995)"."""
    row = dataset.movies.iloc[item]
    return str(row["title"]) if pd.isna(row["year"]) else f"{row['title']} ({row['year']})"
