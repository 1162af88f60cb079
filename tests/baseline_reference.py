"""The definitions of the baselines, written out slowly: the reference that the fast code is held to."""

from math import sqrt

import numpy as np

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


def plain_item_knn(
    prepared: Prepared,
    case: Cases,
    latest: float = 0,
    decay: float = 1.0,
    shrinkage: float = 0.0,
    neighbours: int = 200,
) -> list[float]:
    items = range(prepared.histories.num_items)
    users_of = plain_users_of(prepared)

    def similarity(one: int, other: int) -> float:
        if one == other or not users_of[one] or not users_of[other]:
            return 0.0
        both = len(users_of[one] & users_of[other])
        return both / (sqrt(len(users_of[one]) * len(users_of[other])) + shrinkage)

    history = plain_latest(prepared, case, latest, decay)
    scores = plain_fallback(prepared)
    for item in items:
        nearest = sorted((similarity(item, other) for other in items), reverse=True)[:neighbours][-1]
        total = 0.0
        for other, weight in history:
            if similarity(item, other) >= nearest - 1e-6:  # all that equal the last stay
                total += weight * similarity(item, other)
        if total > 0:
            scores[item] = total
    return scores


def plain_sequential_rules(
    prepared: Prepared, case: Cases, latest: float, decay: float, popularity: float
) -> list[float]:
    histories, counts = prepared.histories, plain_counts(prepared)
    positions = plain_training_positions(prepared)
    items = [(place, int(histories.tokens[place])) for place in positions]
    items = [(place, item) for place, item in items if item < histories.num_items]
    scores = plain_fallback(prepared)
    votes = dict.fromkeys(range(histories.num_items), 0.0)
    for asked, weight in plain_latest(prepared, case, latest, decay):
        for user in range(histories.num_users):
            first, end = int(histories.user_starts[user]), int(histories.user_starts[user + 1])
            own = [(place, item) for place, item in items if first <= place < end]
            for place, item in own:
                for later, other in own:
                    if item == asked and 1 <= later - place <= 20:
                        votes[other] += weight / (later - place)
    for item, value in votes.items():
        if value > 0:
            scores[item] = value / max(counts[item], 1) ** popularity
    return scores


def plain_ease(prepared: Prepared, case: Cases, regularisation: float) -> list[float]:
    """Each item's column alone is a ridge regression on all other items, which is what a diagonal of zeros means."""
    histories, users_of = prepared.histories, plain_users_of(prepared)
    matrix = np.array([[user in users_of[item] for item in users_of] for user in range(histories.num_users)], float)
    history = {item for item, _ in plain_latest(prepared, case, 0, 1.0)}
    scores: list[float] = []
    for item in users_of:
        others = [other for other in users_of if other != item]
        gram = matrix[:, others].T @ matrix[:, others] + regularisation * np.eye(len(others))
        weights = dict(zip(others, np.linalg.solve(gram, matrix[:, others].T @ matrix[:, item]), strict=True))
        scores.append(sum(weights[other] for other in history if other != item))
    return [*scores, min(scores) - 1, min(scores) - 1]


def plain_users_of(prepared: Prepared) -> dict[int, set[int]]:
    """Of each item the users who have it in the training part."""
    histories = prepared.histories
    users_of: dict[int, set[int]] = {item: set() for item in range(histories.num_items)}
    positions = plain_training_positions(prepared)
    for user in range(histories.num_users):
        for position in positions:
            item = int(histories.tokens[position])
            if histories.user_starts[user] <= position < histories.user_starts[user + 1] and item in users_of:
                users_of[item].add(user)
    return users_of


def plain_latest(prepared: Prepared, case: Cases, latest: float, decay: float) -> list[tuple[int, float]]:
    """The latest items before the target with their weights, one that is there twice with both; of all (latest 0) each
    item once with weight 1."""
    histories = prepared.histories
    items = histories.tokens[histories.user_starts[case.users[0]] + 1 : case.ends[0]].tolist()
    if not latest:
        return [(item, 1.0) for item in sorted(set(items))]
    return [(item, decay**age) for age, item in enumerate(reversed(items)) if age < latest]


def plain_fallback(prepared: Prepared) -> list[float]:
    counts = plain_counts(prepared)
    return [count / (max(counts) + 1) - 1 for count in counts]
