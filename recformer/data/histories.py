"""Cases, users and places in their histories, over one flat token array: index arithmetic in place of small tensors."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recformer.data.arrays import let_go
from recformer.data.dataset import Dataset


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, … for each pair, one after the other: [5, 0], [2, 3] → [5, 6, 0, 1, 2]."""
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)


@dataclass(frozen=True, eq=False)
class Cases:
    """Questions to a model: what comes after the first tokens of a user? The answer is the token at `ends`.

    How many of the tokens before it a model reads is the model's own affair: a case is the same for all of them.
    """

    users: NDArray[np.int32]
    """(N,) user tokens."""
    ends: NDArray[np.int64]
    """(N,) where the history ends: the target's place in `Histories.tokens`, of which all are different."""
    num_targets: NDArray[np.int64] | None = None
    """(N,) how many tokens, from the end on, are its targets; None: one each."""

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def target_counts(self) -> NDArray[np.int64]:
        """(N,) how many targets each has."""
        return np.ones(len(self), dtype=np.int64) if self.num_targets is None else self.num_targets

    @property
    def target_places(self) -> NDArray[np.int64]:
        """(P,) where the targets are in `Histories.tokens`, case after case."""
        return ranges(self.ends, self.target_counts)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that say which cases these are, of one dataset."""
        return hashlib.sha256(np.ascontiguousarray(self.ends).tobytes()).hexdigest()[:16]

    def __getitem__(self, rows: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Some of the cases: a slice, positions (B,), or marks (N,)."""
        several = None if self.num_targets is None else self.num_targets[rows]
        return type(self)(self.users[rows], self.ends[rows], several)


@dataclass(frozen=True, eq=False)
class Histories:
    """Every user's [SOS] + items + [EOS], one after the other."""

    num_items: int
    tokens: NDArray[np.int32]
    """(N + 2U,)"""
    user_starts: NDArray[np.int64]
    """(U + 1,) where each user's tokens begin."""

    @property
    def sos(self) -> int:
        return self.num_items

    @property
    def eos(self) -> int:
        return self.num_items + 1

    @property
    def num_tokens(self) -> int:
        """V: items, SOS and EOS."""
        return self.num_items + 2

    @property
    def num_users(self) -> int:
        return len(self.user_starts) - 1

    def all_cases(self, least: int = 1) -> Cases:
        """Every token with at least `least` ≥ 1 tokens of its user before it, user after user, in the order of time.

        A user with 4 items has 6 tokens, and so 5 cases; with `least` 5 one, [SOS a b c d] → EOS.
        """
        firsts = np.minimum(self.user_starts[:-1] + least, self.user_starts[1:])
        return self.cases_at(np.flatnonzero(marks_between(firsts, self.user_starts[1:], len(self.tokens))))

    def cases_at(self, ends: NDArray[np.int64]) -> Cases:
        """The cases whose targets stand at `ends` (N,), ascending."""
        return Cases(self.users_at(ends).astype(np.int32), ends)

    def targets(self, cases: Cases) -> NDArray[np.int32]:
        """(N,) the token that each case asks for, the first where there are several."""
        return self.tokens[cases.ends]

    def lengths(self, cases: Cases) -> NDArray[np.int64]:
        """(N,) items that the user had before the target."""
        return cases.ends - self.user_starts[cases.users] - 1  # SOS is no item

    def inputs(self, cases: Cases, length: int) -> NDArray[np.int32]:
        """(N, length) the latest tokens before the target; SOS in front where there are fewer."""
        places = cases.ends[:, None] + np.arange(-length, 0)
        return self.tokens[np.maximum(places, self.user_starts[cases.users][:, None])]

    def users_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """(P,) whose tokens stand at `places` (P,) of `tokens`."""
        return np.searchsorted(self.user_starts, places, side="right") - 1


def histories_of(dataset: Dataset) -> Histories:
    """The histories of a dataset's users, each in the order of time."""
    user_starts = dataset.offsets + 2 * np.arange(dataset.num_users + 1)  # SOS and EOS
    tokens = np.empty(user_starts[-1], dtype=np.int32)
    tokens[user_starts[:-1]] = dataset.num_items
    tokens[user_starts[1:] - 1] = dataset.num_items + 1
    tokens[marks_between(user_starts[:-1] + 1, user_starts[1:] - 1, len(tokens))] = dataset.items
    let_go(dataset.items)
    return Histories(dataset.num_items, tokens, user_starts)


def marks_between(firsts: NDArray[np.int64], ends: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """(size,) True from each first up to before its end; the spans ascend and do not overlap.

    A byte a place: positions would take eight, and a dataset may have a hundred million. [0, 4], [2, 5] of 6 places:
    yes, yes, no, no, yes, no.
    """
    some = firsts < ends
    steps = np.zeros(size + 1, dtype=np.int8)
    steps[firsts[some]] += 1
    steps[ends[some]] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8, out=steps[:-1]).view(np.bool_)


def interactions(cases: Cases) -> NDArray[np.int64]:
    """(N,) which of the dataset's interactions the targets are. EOS is none: its number means nothing."""
    return cases.ends - 2 * cases.users - 1  # without SOS and EOS
