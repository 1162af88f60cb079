"""The definition of ranks and duplicates, written out slowly: the reference that the fast code is held to."""

import numpy as np
from numpy.typing import NDArray
from recformer.data.windows import Windows

MAX_K = 20


def plain_ranks(
    logits: NDArray[np.floating], windows: Windows, rows: NDArray[np.int64], items_only: bool
) -> dict[str, NDArray[np.int64]]:
    """What `rank_batch` says of each row, by field name; the scores of a row are to be distinct."""
    cases = [_case(logits[i], windows, int(row), items_only) for i, row in enumerate(rows)]
    return {name: np.array([case[name] for case in cases]) for name in cases[0]}


def _case(scores: NDArray[np.floating], windows: Windows, row: int, items_only: bool) -> dict[str, int | list[int]]:
    start, end = int(windows.starts[row]), int(windows.starts[row]) + windows.size
    user = int(windows.users[row])
    target = int(windows.tokens[end])
    window = set(windows.tokens[start:end].tolist())
    history = set(windows.tokens[int(windows.user_starts[user]) : end].tolist())
    everything = range(windows.num_items if items_only else windows.num_tokens)

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
