"""What is known of somebody when models are asked for the next item; a made-up window ("what if") too.

How much of a history a model reads is its own affair. Where there are fewer items than it reads, SOS comes before
them. In training SOS stands once, just before a history, so only the first places of a history ever had it beside them,
and never two of it. Each further SOS says "before that, nothing": the model has not seen two of it, so the fewer items
there are, the more it guesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.dataset import Dataset, Id, token_of
from recformer.data.report import LEAST
from recformer.errors import DataError, UsageError
from recformer.evaluation.ranks import MOST_RECENT, Masking

NOT_ASKED = "a list made elsewhere: there is no model to ask why, or what if"
CROWD = 64
"""Users that stand in for nobody."""


@dataclass(frozen=True, eq=False)
class UserCase:
    """What somebody had, and what came next."""

    user: Id | None
    """The dataset's user id; None for nobody of the dataset."""
    user_token: int | None
    sequence: NDArray[np.int64]
    """(n,) item tokens before what is asked for, in the order of time; models read the latest of them."""
    history: NDArray[np.int64]
    """(m,) item tokens that count as seen: the sequence, and what an edit took out of it."""
    recent: int
    """How many of the latest items are the window, for masking and repeats."""
    asked: int
    """How many of the latest items can be edited and are explained: the window, or those that are made up."""
    target: int | None
    """Item token of the held-out one, the user's last one; None where the latest items are made up."""

    @property
    def window(self) -> NDArray[np.int64]:
        """The latest `recent` item tokens; fewer where there are no more."""
        return self.sequence[-self.recent :]

    @property
    def latest(self) -> NDArray[np.int64]:
        """(asked,) item tokens."""
        return self.sequence[len(self.sequence) - self.asked :]

    def asked_as(self, num_users: int) -> NDArray[np.int64]:
        """(C,) user tokens to ask a model as: the user's own, or for nobody those of `nobody`."""
        return nobody(num_users) if self.user_token is None else np.array([self.user_token])

    def candidates(self, num_items: int, masking: Masking, *always: int | None) -> NDArray[np.bool_]:
        """(I,) which items are ranked under `masking`; the target and those in `always` are, whatever is masked."""
        hidden = {"none": np.array([], np.int64), "window": self.window, "history": self.history}[masking]
        shown = np.ones(num_items, dtype=bool)
        shown[hidden] = False
        shown[[item for item in (self.target, *always) if item is not None]] = True
        return shown


def nobody(num_users: int) -> NDArray[np.int64]:
    """(C,) user tokens that stand in for nobody of the dataset: 64 spread evenly over it.

    Models know users by a vector of their own, and nobody has none. The mean over many users is what the model
    expects of somebody of whom only the window is known. A model of 0 users asks for none, and is given token 0.
    """
    return np.unique(np.linspace(0, max(num_users - 1, 0), CROWD).round().astype(np.int64))


def user_case_of(dataset: Dataset, user: Id, recent: int) -> UserCase:
    """The case before a user's last item, which is the test case of leave_last_out.

    Raises UsageError for a user id that is not there, DataError for a history that gives no test case.
    """
    token = _user_token(dataset, user)
    history = dataset.history(token).astype(np.int64)
    if len(history) < LEAST:
        raise DataError(
            f"user {user} has {dataset.nouns.count(len(history))}; those whose last {dataset.nouns.item} is held out "
            f"have {LEAST} or more"
        )
    before = history[:-1]
    return UserCase(user, token, before, before, recent, min(recent, len(before)), int(history[-1]))


def imagined(dataset: Dataset, items: Sequence[Id], recent: int, user: Id | None) -> UserCase:
    """The case of somebody whose latest items are `items`; there is no held-out one.

    Args:
        items: item ids, oldest first, at most 200.
        recent: how many items are the window.
        user: whose taste and history it is, by id: `items` stand in place of the window, what was before it stays. None
            for nobody of the dataset, who had nothing but `items`.

    Raises UsageError for ids that are not there, and for too many items.
    """
    tokens = item_tokens_of(dataset, items)
    if len(tokens) > MOST_RECENT:
        raise UsageError(f"{dataset.nouns.count(len(tokens))} are too many: name at most {MOST_RECENT}")
    if user is None:
        return UserCase(None, None, tokens, tokens, recent, len(tokens), None)
    token = _user_token(dataset, user)
    before = dataset.history(token)[:-1].astype(np.int64)
    sequence = np.concatenate([before[: max(len(before) - recent, 0)], tokens])
    history = np.concatenate([before, tokens[~np.isin(tokens, before)]])
    return UserCase(user, token, sequence, history, recent, len(tokens), None)


def as_read(items: NDArray[np.int64], length: int, sos: int) -> NDArray[np.int64]:
    """(T,) what a model of that length reads of `items` (n,): the latest, or SOS before them: [SOS SOS a b]."""
    return np.concatenate([np.full(max(length - len(items), 0), sos, dtype=np.int64), items[-length:]])


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
