"""Is a dataset, or a model, sequential at all? What is lost when the order of histories is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recformer.data.histories import marks_between
from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.ranks import Ranks
from recformer.evaluation.significance import Question
from recformer.registry import METRICS

SEED = 0
RULES = "sequential_rules"


@dataclass(frozen=True)
class ShuffleTest:
    """NDCG@10 with the history masked, in order and shuffled."""

    ordered: float
    shuffled: float

    @property
    def loss(self) -> float:
        """Share of the value that is lost with the order: 0 where order says nothing, 1 where it says everything."""
        return 1 - self.shuffled / self.ordered if self.ordered else 0.0

    def __str__(self) -> str:
        change = round(-100 * self.loss)
        said = f"{change:+d}%" if change else "no change"
        return f"NDCG@10 {self.ordered:.4f} in order, {self.shuffled:.4f} shuffled ({said})"


def shuffled(
    prepared: Prepared, parts: Sequence[Part] = ("validation", "test"), latest: int | None = None, seed: int = SEED
) -> Prepared:
    """The same with each user's items before their first case of these parts in a random order, or the `latest` of
    them; its target and what comes after keep their places."""
    histories = prepared.histories
    ends = histories.user_starts[1:] - 1  # EOS
    for cases in map(prepared.cases, parts):
        np.minimum.at(ends, cases.users, cases.ends)
    firsts = histories.user_starts[:-1] + 1
    firsts = firsts if latest is None else np.maximum(firsts, ends - latest)
    places = np.flatnonzero(marks_between(np.minimum(firsts, ends), ends, len(histories.tokens)))
    chance = np.random.default_rng(seed).random(len(histories.tokens))[places]
    order = np.lexsort((chance, histories.users_at(places)))
    tokens = histories.tokens.copy()
    tokens[places] = tokens[places][order]
    return replace(prepared, histories=replace(histories, tokens=tokens))


def of_dataset(prepared: Prepared) -> ShuffleTest:
    """What sequential rules lose on the validation part when counted from, and asked about, shuffled histories.

    Source: Klenitskiy et al. 2024; Woolridge et al. 2021.
    """
    ordered, mixed = (rank_baseline(RULES, one, one.split.validation)[0] for one in (prepared, shuffled(prepared)))
    return ShuffleTest(ndcg(ordered), ndcg(mixed))


def ndcg(ranks: Ranks) -> float:
    question = Question()
    return float(METRICS.get(question.metric)(ranks.places("history"), question.k, ranks.num_targets).mean())
