"""From lists to ranks: a target's rank is its place among what masking leaves of the list."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases, Histories, ranges
from recformer.evaluation.lists.kept import UNKNOWN_ITEM, KeptLists
from recformer.evaluation.ranks import MASKINGS, MAX_K, NOT_LISTED, Masking, Progress, Ranks, concatenate

BATCH = 4096
_EMPTY = UNKNOWN_ITEM - 1
"""Where a list has ended."""


def rank_lists(
    lists: KeptLists, histories: Histories, cases: Cases, recent: int, progress: Progress | None = None
) -> Ranks:
    """Ranks of cases by the lists of their users.

    A target that is not in the list has rank NOT_LISTED. A user without a list counts as one to whom nothing is
    recommended. All cases of a user have the same list.
    """
    parts: list[Ranks] = []
    for start in range(0, len(cases), BATCH):
        parts.append(_ranks(lists, histories, cases[start : start + BATCH], recent))
        if progress is not None:
            progress(min(start + BATCH, len(cases)), len(cases))
    return concatenate(parts)


def _ranks(lists: KeptLists, histories: Histories, cases: Cases, recent: int) -> Ranks:
    listed, lengths = _listed(lists, cases.users)
    rows, targets = _targets(histories, cases)
    wanted = _among(listed, rows, targets, histories)
    before = cases.ends - histories.user_starts[cases.users]
    seen: dict[Masking, NDArray[np.bool_]] = {
        "window": _among(listed, *_latest(histories, cases, np.minimum(before, recent)), histories),
        "history": _among(listed, *_latest(histories, cases, before), histories),
    }
    shown: dict[Masking, NDArray[np.bool_]] = {"none": listed != _EMPTY}
    for masking, marks in seen.items():
        shown[masking] = shown["none"] & (~marks | wanted)  # what is looked for is never masked
    order = {masking: np.argsort(~marks, axis=1, kind="stable") for masking, marks in shown.items()}
    found: dict[str, Any] = {}
    for masking in MASKINGS:
        found |= _under(masking, listed, wanted, shown[masking], order[masking])
        found[f"known_{masking}"] = _known(lists, lengths, shown[masking].sum(axis=1))
    if cases.num_targets is not None:
        different = np.unique(rows * histories.num_tokens + targets) // histories.num_tokens
        found["num_targets"] = np.bincount(different).astype(np.int32)
        there = np.arange(MAX_K) < found["num_targets"][:, None]
        for masking in MASKINGS:
            found[f"places_{masking}"] = np.where(there, found[f"places_{masking}"], 0)
    else:
        found = {name: values for name, values in found.items() if not name.startswith("places")}
    return Ranks(
        user=cases.users,
        target=histories.targets(cases),
        window_repeats_none=_repeats(seen["window"], shown["none"], order["none"]),
        history_repeats_none=_repeats(seen["history"], shown["none"], order["none"]),
        history_repeats_window=_repeats(seen["history"] & ~seen["window"], shown["window"], order["window"]),
        **found,
    )


def _listed(lists: KeptLists, users: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(B, ≥ MAX_K) the list of each user, then _EMPTY; and (B,) how long it is."""
    place = np.minimum(np.searchsorted(lists.users, users), len(lists.users) - 1)
    lengths = np.where(lists.users[place] == users, lists.lengths[place], 0)
    reach = np.arange(max(MAX_K, lengths.max()))
    there = reach < lengths[:, None]
    return np.where(there, lists.items[np.where(there, lists.starts[place][:, None] + reach, 0)], _EMPTY), lengths


def _targets(histories: Histories, cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Which case, and which token, of all targets."""
    return np.repeat(np.arange(len(cases)), cases.target_counts), histories.tokens[cases.target_places]


def _latest(
    histories: Histories, cases: Cases, lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Which case, and which token, of the `lengths` (B,) tokens before each target."""
    return np.repeat(np.arange(len(cases)), lengths), histories.tokens[ranges(cases.ends - lengths, lengths)]


def _among(
    listed: NDArray[np.int32], rows: NDArray[np.int64], tokens: NDArray[np.int32], histories: Histories
) -> NDArray[np.bool_]:
    """(B, L) which listed tokens are among the `tokens` (P,) of their row (P,)."""
    own = np.arange(len(listed))[:, None] * histories.num_tokens + listed
    return np.isin(own, rows * histories.num_tokens + tokens) & (listed >= 0)


def _under(
    masking: Masking,
    listed: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    shown: NDArray[np.bool_],
    order: NDArray[np.int64],
) -> dict[str, Any]:
    """Ranks, lists and places under one masking; `order` (B, L) has what is shown first."""
    first = order[:, :MAX_K]
    top = np.where(np.take_along_axis(shown, first, 1), np.take_along_axis(listed, first, 1), UNKNOWN_ITEM)
    places = np.where(wanted, shown.cumsum(axis=1), NOT_LISTED).astype(np.int32)
    places = np.sort(places, axis=1)[:, :MAX_K]
    return {f"top_{masking}": top, f"rank_{masking}": places[:, 0].copy(), f"places_{masking}": places}


def _repeats(seen: NDArray[np.bool_], shown: NDArray[np.bool_], order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(B, MAX_K) how many are seen among the first 1 to MAX_K that are shown."""
    return np.take_along_axis(seen & shown, order[:, :MAX_K], 1).cumsum(axis=1).astype(np.uint8)


def _known(lists: KeptLists, lengths: NDArray[np.int64], left: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(B,) up to which place each list, of which so many places are left, is known: what would come after its end is
    not, but where it is said that there is nothing."""
    most = min(MAX_K, lists.record.k or MAX_K)
    whole = lengths < (lists.record.k or 1)  # a user without a list is recommended nothing
    return np.where(whole, most, np.minimum(left, most)).astype(np.uint8)
