"""The definitions of the baselines, written out slowly: the reference that the fast code is held to."""

from math import sqrt

from recformer.data.prepared import Prepared


def plain_training_positions(prepared: Prepared) -> list[int]:
    """Positions in a training window or its target, without the targets of held-out windows."""
    windows, split = prepared.windows, prepared.split
    seen = {int(windows.starts[row]) + step for row in split.train for step in range(windows.size + 1)}
    held_out = {int(windows.starts[row]) + windows.size for part in (split.validation, split.test) for row in part}
    return sorted(seen - held_out)


def plain_counts(prepared: Prepared) -> list[int]:
    tokens = prepared.windows.tokens
    counts = [0] * prepared.windows.num_tokens
    for position in plain_training_positions(prepared):
        if tokens[position] != prepared.windows.sos:
            counts[tokens[position]] += 1
    return counts


def plain_popularity(prepared: Prepared, row: int) -> list[float]:
    return [float(count) for count in plain_counts(prepared)]


def plain_markov(prepared: Prepared, row: int) -> list[float]:
    windows = prepared.windows
    counts = plain_counts(prepared)
    scores = [count / (max(counts) + 1) for count in counts]
    last = windows.tokens[windows.starts[row] + windows.size - 1]
    positions = set(plain_training_positions(prepared))
    for position in positions:
        together = any(
            windows.starts[other] <= position < windows.starts[other] + windows.size for other in prepared.split.train
        )
        if position + 1 in positions and together and windows.tokens[position] == last:
            scores[windows.tokens[position + 1]] += 1
    return scores


def plain_item_knn(prepared: Prepared, row: int, neighbours: int = 200) -> list[float]:
    windows = prepared.windows
    items = range(windows.num_items)
    users_of: dict[int, set[int]] = {item: set() for item in items}
    for user in range(len(windows.user_starts) - 1):
        for position in plain_training_positions(prepared):
            item = int(windows.tokens[position])
            if windows.user_starts[user] <= position < windows.user_starts[user + 1] and item in users_of:
                users_of[item].add(user)

    def similarity(one: int, other: int) -> float:
        if one == other or not users_of[one] or not users_of[other]:
            return 0.0
        return len(users_of[one] & users_of[other]) / sqrt(len(users_of[one]) * len(users_of[other]))

    start = windows.user_starts[windows.users[row]] + 1
    history = set(windows.tokens[start : windows.starts[row] + windows.size].tolist())
    counts = plain_counts(prepared)
    scores = [count / (max(counts) + 1) - 1 for count in counts]
    for item in items:
        nearest = sorted((similarity(item, other) for other in items), reverse=True)[:neighbours][-1]
        similar = [similarity(item, other) for other in sorted(history)]
        total = sum(value for value in similar if value >= nearest - 1e-6)  # all that equal the last stay
        if total > 0:
            scores[item] = total
    return scores
