"""Laws of every registered metric, on any ranks and any lists."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recformer.data.histories import Cases, Histories, histories_of
from recformer.errors import EvaluationError
from recformer.evaluation.cases import Facts, Known
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import MASKINGS, MAX_K, Ranks
from recformer.evaluation.table import Evaluation, case_values, catalogue_names, metric_names, summarise
from recformer.metric.lists import Catalogue, Lists
from recformer.registry import CATALOGUE_METRICS, METRICS
from recformer.run.model_ref import ModelRef
from tests.both_rankings import rank_batch
from tests.builders import dataset_of
from tests.effort import examples
from tests.evaluation_builders import genre_bits, list_metric, list_metric_names

NUM_ITEMS = 30
CUTOFFS = st.integers(1, MAX_K)
RANKS = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(lambda ranks: np.array(ranks, dtype=np.int32))
SEEDS = st.integers(0, 2**32 - 1)
ItemSet = Literal["items", "tokens"]
Scored = tuple[Histories, Cases, torch.Tensor]
RECENT = 3
PROTOCOL = Protocol("made up", "0" * 16, {"name": "leave_last_out"}, "test", 1, "0" * 16, 0, 3, "items")


@st.composite
def some_lists(draw: st.DrawFn) -> Lists:
    """Lists of distinct items of any length, with gaps, and repeats that grow by at most one a place."""
    random = np.random.default_rng(draw(SEEDS))
    count = draw(st.integers(1, 8))
    items = np.stack([random.permutation(NUM_ITEMS)[:MAX_K] for _ in range(count)]).astype(np.int32)
    items[random.random(items.shape) < draw(st.sampled_from([0, 0.2, 1]))] = -1
    history = (random.random(items.shape) < random.random()) & (items >= 0)
    window = history & (random.random(items.shape) < 0.5)
    repeats = [marks.cumsum(axis=1).astype(np.uint8) for marks in (window, history)]
    return Lists(items, repeats[0], repeats[1], catalogue_from(random))


def catalogue_from(random: np.random.Generator) -> Catalogue:
    names = [f"genre {number}" for number in range(random.integers(1, 80))]
    genres = [[name for name in names if random.random() < 0.2] for _ in range(NUM_ITEMS)]
    return Catalogue(random.integers(0, 9, NUM_ITEMS), 9, genre_bits(genres))


@st.composite
def scored(draw: st.DrawFn, distinct: bool = True) -> Scored:
    """Cases of a few histories, with an item as target, and whole-number scores from −40 to 40."""
    history = st.lists(st.integers(0, NUM_ITEMS - 1), min_size=4, max_size=12)
    histories = histories_of(dataset_of(draw(st.lists(history, min_size=1, max_size=3)), NUM_ITEMS))
    cases = histories.all_cases(RECENT)
    cases = cases[histories.targets(cases) != histories.eos]
    random = np.random.default_rng(draw(SEEDS))
    if distinct:
        scores = np.stack([random.permutation(81)[: histories.num_tokens] - 40 for _ in cases])
    else:
        scores = random.integers(-3, 4, size=(len(cases), histories.num_tokens))
    return histories, cases, torch.from_numpy(scores.astype(np.float64))


def evaluation_of(ranks: Ranks, run: str = "run", seed: int = 0) -> Evaluation:
    ones = np.ones(len(ranks), dtype=np.int64)
    facts = Facts(catalogue_from(np.random.default_rng(seed)), ones, ones)
    return Evaluation(
        ModelRef("best", run, Path("best.safetensors")),
        replace(PROTOCOL, cases=len(ranks)),
        (ranks,),
        facts,
        Known(0, 0),
    )


@pytest.mark.parametrize("name", METRICS.names())
@settings(max_examples=examples(60))
@given(ranks=RANKS, k=st.integers(1, MAX_K - 1))
def test_one_more_place_changes_the_metric_of_the_cases_whose_target_stands_there_and_raises_it(
    name: str, ranks: np.ndarray, k: int
) -> None:
    before, after = METRICS.get(name)(ranks, k), METRICS.get(name)(ranks, k + 1)
    there = ranks == k + 1
    assert (after[there] > before[there]).all()
    assert (after[~there] == before[~there]).all()


@settings(max_examples=examples(60))
@given(ranks=RANKS, k=CUTOFFS)
def test_with_one_target_map_is_mrr_and_no_metric_is_below_mrr_or_above_the_hit_rate(ranks: np.ndarray, k: int) -> None:
    mrr, hits = METRICS.get("mrr")(ranks, k), METRICS.get("hr")(ranks, k)
    assert METRICS.get("map")(ranks, k).tolist() == mrr.tolist()
    for name in METRICS.names():
        values = METRICS.get(name)(ranks, k)
        assert ((mrr <= values) & (values <= hits)).all(), name


@settings(max_examples=examples(60))
@given(lists=some_lists(), k=CUTOFFS)
def test_metrics_of_lists_stay_within_their_bounds(lists: Lists, k: int) -> None:
    values = {name: list_metric(name)(lists, k) for name in list_metric_names()}
    assert all(np.isfinite(column).all() and (column >= 0).all() for column in values.values())
    for name in ("duplication/window", "duplication/history", "diversity/genre"):
        assert (values[name] <= 1).all()
    plays = lists.catalogue.plays
    assert (values["popularity"] <= plays.max() / lists.catalogue.num_users + 1e-12).all()
    bits = -np.log2((plays + 1) / (plays.sum() + NUM_ITEMS))
    filled = (lists.items[:, :k] >= 0).any(axis=1)
    assert (values["novelty"] <= bits.max() + 1e-12).all()
    assert (values["novelty"][filled] >= bits.min() - 1e-12).all()
    assert (values["duplication/window"] <= values["duplication/history"]).all()
    assert all(0 <= CATALOGUE_METRICS.get(name)(lists, k) <= 1 for name in CATALOGUE_METRICS.names())


@settings(max_examples=examples(60))
@given(lists=some_lists(), k=st.integers(1, MAX_K - 1))
def test_longer_lists_cover_more_and_hold_more_repeats_but_by_at_most_one_each(lists: Lists, k: int) -> None:
    assert CATALOGUE_METRICS.get("coverage")(lists, k) <= CATALOGUE_METRICS.get("coverage")(lists, k + 1)
    for name in ("duplication/window", "duplication/history"):
        more = (k + 1) * list_metric(name)(lists, k + 1) - k * list_metric(name)(lists, k)
        assert (np.isclose(more, 0) | np.isclose(more, 1)).all()


@pytest.mark.parametrize("name", [*list_metric_names(), "gini"])
def test_that_more_places_raise_it_is_no_law_of_a_metric_of_lists(name: str) -> None:
    """Item 0 is known to all, was had before and has the genre of item 1; of the others nothing of that is true."""
    catalogue = Catalogue(np.array([9, 9, 0, 0]), 9, genre_bits([["a"], ["a"], ["b"], []]))
    values: list[list[float]] = []
    for row in ([0, 1, 2], [0, 2, 1], [2, 0, 1], [2, 3, 0]):
        had = np.isin(row, [0, 1]).cumsum()
        repeats = np.pad(had, (0, MAX_K - 3), mode="edge")[None].astype(np.uint8)
        items = np.array([row + [-1] * (MAX_K - 3)], dtype=np.int32)
        lists = Lists(items, repeats, repeats, catalogue)
        metric = list_metric(name) if name in list_metric_names() else CATALOGUE_METRICS.get(name)
        values.append([float(np.mean(metric(lists, k))) for k in (1, 2, 3)])
    steps = np.diff(values, axis=1)
    assert (steps < 0).any()
    if name != "gini":  # of one user's list it only falls: each place is another item
        assert (steps > 0).any()


@settings(max_examples=examples(40))
@given(lists=some_lists(), k=CUTOFFS, seed=SEEDS)
def test_the_order_of_cases_changes_the_order_of_values_and_nothing_else(lists: Lists, k: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(lists.items))
    parts = (lists.items[order], lists.window_repeats[order], lists.history_repeats[order])
    other = Lists(*parts, lists.catalogue)
    for name in list_metric_names():
        assert list_metric(name)(other, k).tolist() == list_metric(name)(lists, k)[order].tolist()
    for name in CATALOGUE_METRICS.names():
        assert CATALOGUE_METRICS.get(name)(other, k) == CATALOGUE_METRICS.get(name)(lists, k)


@settings(max_examples=examples(30))
@given(case=scored(), seed=SEEDS)
def test_any_strictly_monotone_transform_of_the_scores_leaves_every_metric_as_it_was(case: Scored, seed: int) -> None:
    histories, cases, scores = case
    levels = np.sort(np.random.default_rng(seed).normal(size=81).cumsum())
    assert len(set(levels.tolist())) == 81
    moved = torch.from_numpy(levels)[(scores + 40).long()]
    names = metric_names([1, 5, 20], categories=["genre"])
    before, after = (evaluation_of(rank_batch(table, histories, cases, "items", RECENT)) for table in (scores, moved))
    for masking in MASKINGS:
        np.testing.assert_array_equal(case_values(before, masking, names), case_values(after, masking, names))


@settings(max_examples=examples(30))
@given(case=scored(distinct=False), seed=SEEDS)
def test_ranks_with_ties_survive_any_strictly_monotone_transform_too(case: Scored, seed: int) -> None:
    histories, cases, scores = case
    levels = np.sort(np.random.default_rng(seed).normal(size=7))
    moved = torch.from_numpy(levels)[(scores + 3).long()]
    before, after = (rank_batch(table, histories, cases, "items", RECENT) for table in (scores, moved))
    for masking in MASKINGS:
        assert before.rank(masking).tolist() == after.rank(masking).tolist()


@settings(max_examples=examples(40))
@given(case=scored(), value=st.floats(-1e30, 1e30), item_set=st.sampled_from(["items", "tokens"]))
def test_constant_scores_put_the_target_behind_all_candidates_so_they_get_no_credit(
    case: Scored, value: float, item_set: ItemSet
) -> None:
    histories, cases, scores = case
    ranks = rank_batch(torch.full_like(scores, value), histories, cases, item_set, RECENT)
    candidates = histories.num_items if item_set == "items" else histories.num_tokens
    assert (ranks.rank_none == candidates).all()
    for number, (user, end) in enumerate(zip(cases.users.tolist(), cases.ends.tolist(), strict=True)):
        start = int(histories.user_starts[user])
        target = int(histories.tokens[end])
        for masking, first in (("window", max(end - RECENT, start)), ("history", start)):
            hidden = {token for token in histories.tokens[first:end].tolist() if token < candidates and token != target}
            assert ranks.rank(masking)[number] == candidates - len(hidden)
    for name in METRICS.names():
        assert not METRICS.get(name)(ranks.rank_none, MAX_K).any()


@settings(max_examples=examples(40))
@given(case=scored(), place=st.floats(0, 1, exclude_max=True), token=st.integers(0, NUM_ITEMS - 1))
def test_one_score_that_is_not_a_number_is_an_error_wherever_it_stands(case: Scored, place: float, token: int) -> None:
    histories, cases, scores = case
    scores[int(place * len(cases)), token] = float("nan")
    for item_set in get_args(ItemSet):
        with pytest.raises(EvaluationError, match="not numbers"):
            rank_batch(scores, histories, cases, item_set, RECENT)


@settings(max_examples=examples(5))
@given(seed=SEEDS)
@example(seed=917)  # two models whose differences cancel out
def test_the_order_of_users_changes_no_mean_no_interval_and_no_test(seed: int) -> None:
    random = np.random.default_rng(seed)
    items = [random.permutation(NUM_ITEMS)[: random.integers(4, 12)].tolist() for _ in range(12)]
    histories = histories_of(dataset_of(items, NUM_ITEMS))
    cases = histories.all_cases(RECENT)
    cases = cases[histories.targets(cases) != histories.eos]
    models = [torch.from_numpy(random.normal(size=(len(cases), histories.num_tokens))) for _ in range(2)]
    order = random.permutation(len(cases))
    found = []
    for places in (np.arange(len(cases)), order):
        ranks = [rank_batch(scores[places], histories, cases[places], "items", RECENT) for scores in models]
        evaluations = [evaluation_of(entry, run) for entry, run in zip(ranks, ("one", "other"), strict=True)]
        found.append(summarise(evaluations, [1, 10], baseline=0)["results"])
    assert len(found[0]) == 6
    for before, after in zip(*found, strict=True):
        for name in metric_names([1, 10], categories=["genre"]):
            assert_alike(before["metrics"][name], after["metrics"][name])
        for name in catalogue_names([1, 10]):
            assert before["catalogue"][name] == after["catalogue"][name]


def assert_alike(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            assert_alike(value, other[key])
        else:
            assert other[key] == pytest.approx(value, abs=2e-3 if key.startswith("p") else 1e-9), key


def test_every_field_of_ranks_goes_through_the_same_rows() -> None:
    histories = histories_of(dataset_of([[1, 2, 3, 4, 5, 6]], NUM_ITEMS))
    cases = histories.all_cases(RECENT)[:-1]
    scores = torch.from_numpy(np.random.default_rng(0).permutation(len(cases) * histories.num_tokens)).double()
    scores = scores.view(len(cases), histories.num_tokens)
    whole, turned = (
        rank_batch(scores[place], histories, cases[place], "items", RECENT)
        for place in (np.arange(len(cases)), np.arange(len(cases))[::-1].copy())
    )
    for name, values in whole.arrays().items():
        np.testing.assert_array_equal(values[::-1], turned.arrays()[name], err_msg=name)
