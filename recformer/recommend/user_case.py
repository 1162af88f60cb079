"""What is known of somebody when models are asked for the next item; a made-up window ("what if") too.

A window with fewer items than the model reads is opened with SOS. In training SOS stands once, just before a history,
so only the first places of a history ever had it beside them, and never two of it. Each further SOS says "before that,
nothing": the model has not seen two of it, so the fewer items a window has, the more it guesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.dataset import Dataset, Id, token_of
from recformer.data.split.leave_last_out import LEAST
from recformer.errors import DataError, UsageError
from recformer.evaluation.ranks import Masking

CROWD = 64
"""Users that stand in for nobody; see `asked_as`."""


@dataclass(frozen=True, eq=False)
class UserCase:
    """Input window, what came before it, what came next."""

    user: Id | None
    """The dataset's user id; None for nobody of the dataset."""
    user_token: int | None
    window: NDArray[np.int64]
    """(T,) tokens; SOS may be the first."""
    history: NDArray[np.int64]
    """(n,) item tokens before the held-out one, in the order of time."""
    target: int | None
    """Item token of the held-out one, the user's last one; None where the window is made up."""

    def asked_as(self, num_users: int) -> NDArray[np.int64]:
        """(C,) user tokens to ask a model as: the user's own, or for nobody 64 spread evenly over the dataset.

        Models know users by a vector of their own, and nobody has none. The mean over many users is what the model
        expects of somebody of whom only the window is known.
        """
        if self.user_token is not None:
            return np.array([self.user_token])
        return np.unique(np.linspace(0, num_users - 1, CROWD).round().astype(np.int64))

    def candidates(self, num_items: int, masking: Masking, *always: int | None) -> NDArray[np.bool_]:
        """(I,) which items are ranked under `masking`; the target and those in `always` are, whatever is masked."""
        hidden = {"none": np.array([], np.int64), "window": self.window, "history": self.history}[masking]
        shown = np.ones(num_items, dtype=bool)
        shown[hidden[hidden < num_items]] = False
        shown[[item for item in (self.target, *always) if item is not None]] = True
        return shown


def user_case_of(dataset: Dataset, user: Id, window: int) -> UserCase:
    """The case before a user's last item, which is the test case of leave_last_out.

    Where the user had fewer items than the window holds, SOS fills it. Raises UsageError for a user id that is not
    there, DataError for a history that gives no test case.
    """
    token = _user_token(dataset, user)
    history = dataset.history(token).astype(np.int64)
    if len(history) < LEAST:
        raise DataError(
            f"user {user} has {dataset.nouns.count(len(history))}; those whose last {dataset.nouns.item} is held out "
            f"have {LEAST} or more"
        )
    before = np.concatenate([np.full(window, dataset.num_items), history[:-1]])  # SOS first
    return UserCase(user, token, before[-window:], history[:-1], int(history[-1]))


def imagined(dataset: Dataset, items: Sequence[Id], window: int, user: Id | None) -> UserCase:
    """The case of somebody whose latest items are `items`; there is no held-out one.

    Args:
        items: item ids, oldest first, at most `window`.
        window: T, the tokens that the model reads.
        user: whose taste and history it is, by id; None for nobody of the dataset, whose history is the window.

    Raises UsageError for ids that are not there, and for more items than the window holds.
    """
    tokens = item_tokens_of(dataset, items)
    if len(tokens) > window:
        raise UsageError(f"{dataset.nouns.count(len(tokens))} do not fit a window of {window}: name at most {window}")
    filled = opened(tokens, window, dataset.num_items)
    if user is None:
        return UserCase(None, None, filled, tokens, None)
    token = _user_token(dataset, user)
    before = dataset.history(token)[:-1].astype(np.int64)
    return UserCase(user, token, filled, np.concatenate([before, tokens[~np.isin(tokens, before)]]), None)


def opened(items: NDArray[np.int64], window: int, sos: int) -> NDArray[np.int64]:
    """(T,) `items` (n,) with SOS before them: [a b] in a window of 4 is [SOS SOS a b]."""
    return np.concatenate([np.full(window - len(items), sos, dtype=np.int64), items])


def item_tokens_of(dataset: Dataset, item_ids: Sequence[Id]) -> NDArray[np.int64]:
    """(n,) tokens of item ids. Raises UsageError naming the ids that are not there."""
    ids = dataset.item_ids
    tokens = [token_of(ids, item) for item in item_ids]
    if None in tokens:
        unknown = ", ".join(str(item) for item, token in zip(item_ids, tokens, strict=True) if token is None)
        raise unknown_id(dataset.nouns.item, unknown, ids, dataset)
    return np.array(tokens, dtype=np.int64)


def _user_token(dataset: Dataset, user: Id) -> int:
    token, ids = token_of(dataset.user_ids, user), dataset.user_ids
    if token is None:
        raise unknown_id("user", str(user), ids, dataset)
    return token


def unknown_id(noun: str, wanted: str, ids: pd.Index, dataset: Dataset) -> UsageError:
    """The error for an id that is none of `ids`; `noun` is what they are ids of."""
    return UsageError(f"{noun} {wanted} is not in {dataset.name}; its {noun} ids go from {ids[0]} to {ids[-1]}")


def display_title(dataset: Dataset, item: int) -> str:
    """Title with its year where that is known: "Toy Story (1995)"."""
    year = dataset.item_table["year"].iloc[item] if "year" in dataset.item_table else pd.NA
    return dataset.title_of(item) if pd.isna(year) else f"{dataset.title_of(item)} ({year})"
