"""The ranking metrics against two libraries that others use: ranx, and ir_measures with trec_eval's own code."""

import os
from typing import Any

import numpy as np
import pytest
import torch

# ranx would compile itself for a minute; its code is run as Python instead.
os.environ["NUMBA_DISABLE_JIT"] = "1"

import ir_measures
import ranx

from recformer.data.histories import histories_of
from recformer.evaluation.ranker import rank_batch
from recformer.registry import METRICS
from tests.builders import dataset_of

NUM_ITEMS = 60
CUTOFFS = [1, 3, 5, 10, 20]
RANX = {"recall": "recall", "hr": "hit_rate", "mrr": "mrr", "map": "map", "ndcg": "ndcg"}
IR_MEASURES: dict[str, Any] = {
    "recall": ir_measures.R,
    "hr": ir_measures.Success,
    "mrr": ir_measures.RR,
    "map": ir_measures.AP,
    "ndcg": ir_measures.nDCG,
}


@pytest.fixture(scope="module")
def judged() -> tuple[np.ndarray, dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Ranks of 150 cases, and the same cases as what is relevant and how everything scores."""
    draw = np.random.default_rng(11)
    histories = histories_of(dataset_of([draw.permutation(NUM_ITEMS)[:17].tolist() for _ in range(10)], NUM_ITEMS))
    cases = histories.all_cases(3)
    cases = cases[histories.targets(cases) != histories.eos]
    scores = np.stack([draw.permutation(histories.num_tokens) for _ in cases]).astype(np.float32)
    targets = histories.targets(cases)
    scores[np.arange(len(cases)), targets] += np.repeat([0.5, 40.5], [50, len(cases) - 50])  # many ranks within 20
    ranks = rank_batch(torch.from_numpy(scores), histories, cases, "items").rank_none
    names = [f"case {number:03}" for number in range(len(cases))]
    relevant = {name: {str(target): 1} for name, target in zip(names, targets.tolist(), strict=True)}
    scored = {
        name: {str(item): value for item, value in enumerate(row[:NUM_ITEMS])}
        for name, row in zip(names, scores.tolist(), strict=True)
    }
    assert all(len(set(row.values())) == NUM_ITEMS for row in scored.values())  # no ties
    assert set(range(1, 22)) <= set(ranks.tolist())  # both sides of every cutoff
    return ranks, relevant, scored


@pytest.fixture(scope="module")
def several() -> tuple[tuple[np.ndarray, np.ndarray], dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Places and numbers of the targets of 150 cases that have 1 to 25 each, and the same cases as the libraries take
    them."""
    draw = np.random.default_rng(12)
    scores = np.stack([draw.permutation(NUM_ITEMS) for _ in range(150)])
    targets = [draw.permutation(NUM_ITEMS)[: draw.integers(1, 26)] for _ in scores]
    places = np.zeros((len(scores), 20), dtype=np.int32)
    for number, (row, own) in enumerate(zip(scores, targets, strict=True)):
        found = np.sort(NUM_ITEMS - row[own])[:20]
        places[number, : len(found)] = found
    names = [f"case {number:03}" for number in range(len(scores))]
    relevant = {name: {str(item): 1 for item in own.tolist()} for name, own in zip(names, targets, strict=True)}
    scored = {
        name: {str(item): float(value) for item, value in enumerate(row)}
        for name, row in zip(names, scores.tolist(), strict=True)
    }
    return (places, np.array([len(own) for own in targets])), relevant, scored


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("name", METRICS.names())
def test_with_several_targets_a_metric_is_that_of_both_libraries(name: str, k: int, several: Any) -> None:
    (places, counts), relevant, scored = several
    own = METRICS.get(name)(places, k, counts)
    found = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(scored), f"{RANX[name]}@{k}", return_mean=False)
    np.testing.assert_allclose(own, found, rtol=0, atol=1e-9)
    entries = {
        entry.query_id: entry.value for entry in ir_measures.iter_calc([IR_MEASURES[name] @ k], relevant, scored)
    }
    np.testing.assert_allclose(own, [entries[case] for case in relevant], rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_that_of_ranx_in_every_case(name: str, k: int, judged: Any) -> None:
    ranks, relevant, scored = judged
    found = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(scored), f"{RANX[name]}@{k}", return_mean=False)
    np.testing.assert_allclose(METRICS.get(name)(ranks, k), found, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_that_of_ir_measures_in_every_case(name: str, k: int, judged: Any) -> None:
    ranks, relevant, scored = judged
    # Not its pytrec_eval provider alone: that one takes RR@k and ignores k.
    found = {entry.query_id: entry.value for entry in ir_measures.iter_calc([IR_MEASURES[name] @ k], relevant, scored)}
    assert len(found) == len(ranks)
    np.testing.assert_allclose(METRICS.get(name)(ranks, k), [found[case] for case in relevant], rtol=0, atol=1e-9)
