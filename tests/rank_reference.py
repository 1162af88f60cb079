"""The definition of ranks and duplicates, written out slowly: the reference that the fast code is held to."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases, Histories

MAX_K = 20
RECENT = 5


def plain_ranks(
    logits: NDArray[np.floating], histories: Histories, cases: Cases, item_set: str, recent: int = RECENT
) -> dict[str, NDArray[np.int64]]:
    """What `rank_batch` says of each case, by field name; the scores of a row are to be distinct."""
    pairs = zip(cases.users.tolist(), cases.ends.tolist(), strict=True)
    found = [_case(logits[i], histories, user, end, item_set, recent) for i, (user, end) in enumerate(pairs)]
    return {name: np.array([case[name] for case in found]) for name in found[0]}


def _case(
    scores: NDArray[np.floating], histories: Histories, user: int, end: int, item_set: str, recent: int
) -> dict[str, int | list[int]]:
    before = histories.tokens[int(histories.user_starts[user]) : end].tolist()
    target = int(histories.tokens[end])
    window, history = set(before[-recent:]), set(before)
    everything = range(histories.num_items if item_set == "items" else histories.num_tokens)

    def listed(hidden: set[int]) -> list[int]:
        """Candidates in the order of their scores; what is looked for is never hidden."""
        candidates = [token for token in everything if token == target or token not in hidden]
        return sorted(candidates, key=lambda token: -scores[token])

    def rank(order: list[int]) -> int:
        return 1 + sum(1 for token in order if token != target and scores[token] >= scores[target])

    def repeats(order: list[int], of: set[int]) -> list[int]:
        return [sum(token in of for token in order[:k]) for k in range(1, MAX_K + 1)]

    def top(order: list[int], hidden: set[int]) -> list[int]:
        first = [token for token in order if token == target or token not in hidden][:MAX_K]
        return first + [-1] * (MAX_K - len(first))

    raw, without_window, without_history = listed(set()), listed(window), listed(history)
    return {
        "user": user,
        "target": target,
        "rank_none": rank(raw),
        "rank_window": rank(without_window),
        "rank_history": rank(without_history),
        "window_repeats_none": repeats(raw, window),
        "history_repeats_none": repeats(raw, history),
        "history_repeats_window": repeats(without_window, history - window),  # what is masked cannot repeat
        "top_none": top(raw, set()),
        "top_window": top(without_window, window),
        "top_history": top(without_history, history),
    }
