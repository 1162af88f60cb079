"""Amazon Beauty, a sequence file as papers use it: popularity and Markov are what an independent count says."""

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recformer.config import parse_section
from recformer.data.add import add
from recformer.data.cache import load
from recformer.data.guess import guess
from recformer.evaluation.compare import compare
from recformer.evaluation.evaluate import Task
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

pytestmark = pytest.mark.skipif(
    "RECFORMER_BEAUTY" not in os.environ, reason="RECFORMER_BEAUTY does not name the folder of beauty.txt"
)


def test_popularity_and_markov_on_beauty_are_what_counting_gives(tmp_path: Path) -> None:
    source = Path(os.environ["RECFORMER_BEAUTY"]) / "beauty.txt"
    root = Root(tmp_path)
    dataset = load(add(guess(source), "beauty", root.data), root.data / ".cache")
    assert (dataset.num_users, dataset.num_items, dataset.num_interactions) == (22_363, 12_101, 198_502)
    assert not dataset.has_times

    histories = {words[0]: words[1:] for words in map(str.split, source.read_text().splitlines())}
    popular = Counter(item for items in histories.values() for item in items[:-2])
    after: dict[str, Counter[str]] = {}
    for items in histories.values():
        for item, following in pairwise(items[:-2]):
            after.setdefault(item, Counter())[following] += 1
    counts = np.array([popular[str(item)] for item in dataset.item_ids])
    tokens = {str(item): token for token, item in enumerate(dataset.item_ids)}

    task = Task(dataset, parse_section("split", "leave_last_out"), "test")
    found = compare(root, [ModelRef("popularity"), ModelRef("markov")], task)
    ranks = {str(one.model): one.ranks.rank("history") for one in found.evaluations}
    some = np.arange(0, dataset.num_users, 7)
    for user in some.tolist():
        items = histories[str(dataset.user_ids[user])]
        seen = [tokens[item] for item in items[:-1]]
        target = tokens[items[-1]]
        for model, scores in (
            ("baseline:popularity", counts.astype(float)),
            ("baseline:markov", markov(after.get(items[-2], Counter()), counts, tokens)),
        ):
            allowed = np.ones(len(scores), dtype=bool)
            allowed[seen] = False
            allowed[target] = True
            rank = np.count_nonzero((scores >= scores[target]) & allowed)  # the target itself is the 1
            assert ranks[model][user] == rank, (model, user)


def markov(following: Counter[str], popular: np.ndarray, tokens: dict[str, int]) -> np.ndarray:
    """How often each item came right after this one; ties, and the rest, by popularity."""
    scores = popular / (popular.max() + 1)
    for item, count in following.items():
        scores[tokens[item]] += count
    return scores
