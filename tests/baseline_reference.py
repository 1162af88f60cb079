"""The definitions of the baselines, written out slowly: the reference that the fast code is held to."""

from math import sqrt

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared


def plain_training_positions(prepared: Prepared) -> list[int]:
    """Positions of each user's tokens up to the last training target, without the targets of held-out cases."""
    histories, split = prepared.histories, prepared.split
    last: dict[int, int] = {}
    for user, end in zip(split.train.users.tolist(), split.train.ends.tolist(), strict=True):
        last[user] = max(end, last.get(user, end))
    read = {place for user, end in last.items() for place in range(int(histories.user_starts[user]), end + 1)}
    held_out: set[int] = set()
    for part in (split.validation, split.test):
        counts = [1] * len(part) if part.num_targets is None else part.num_targets.tolist()
        for end, count in zip(part.ends.tolist(), counts, strict=True):
            held_out |= set(range(end, end + count))
    return sorted(read - held_out)


def plain_counts(prepared: Prepared) -> list[int]:
    tokens = prepared.histories.tokens
    counts = [0] * prepared.histories.num_tokens
    for position in plain_training_positions(prepared):
        if tokens[position] != prepared.histories.sos:
            counts[tokens[position]] += 1
    return counts


def plain_popularity(prepared: Prepared, case: Cases) -> list[float]:
    return [float(count) for count in plain_counts(prepared)]


def plain_markov(prepared: Prepared, case: Cases) -> list[float]:
    histories = prepared.histories
    counts = plain_counts(prepared)
    scores = [count / (max(counts) + 1) for count in counts]
    last = histories.tokens[case.ends[0] - 1]
    positions = set(plain_training_positions(prepared))
    for position in positions:
        of_one_user = histories.tokens[position] != histories.eos
        if position + 1 in positions and of_one_user and histories.tokens[position] == last:
            scores[histories.tokens[position + 1]] += 1
    return scores


def plain_item_knn(prepared: Prepared, case: Cases, neighbours: int = 200) -> list[float]:
    histories = prepared.histories
    items = range(histories.num_items)
    users_of: dict[int, set[int]] = {item: set() for item in items}
    for user in range(histories.num_users):
        for position in plain_training_positions(prepared):
            item = int(histories.tokens[position])
            if histories.user_starts[user] <= position < histories.user_starts[user + 1] and item in users_of:
                users_of[item].add(user)

    def similarity(one: int, other: int) -> float:
        if one == other or not users_of[one] or not users_of[other]:
            return 0.0
        return len(users_of[one] & users_of[other]) / sqrt(len(users_of[one]) * len(users_of[other]))

    start = histories.user_starts[case.users[0]] + 1
    history = set(histories.tokens[start : case.ends[0]].tolist())
    counts = plain_counts(prepared)
    scores = [count / (max(counts) + 1) - 1 for count in counts]
    for item in items:
        nearest = sorted((similarity(item, other) for other in items), reverse=True)[:neighbours][-1]
        similar = [similarity(item, other) for other in sorted(history)]
        total = sum(value for value in similar if value >= nearest - 1e-6)  # all that equal the last stay
        if total > 0:
            scores[item] = total
    return scores
