"""Laws of ranks on any scores."""

from typing import Literal

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.data.histories import Cases, Histories, histories_of
from recformer.evaluation.ranks import MASKINGS
from tests.both_rankings import rank_batch
from tests.builders import dataset_of
from tests.effort import examples
from tests.rank_reference import plain_ranks

NUM_ITEMS = 30
RECENT = 3
ItemSet = Literal["items", "tokens"]
Case = tuple[Histories, Cases, torch.Tensor]


@st.composite
def cases(draw: st.DrawFn, distinct: bool = False) -> Case:
    """Cases of a few histories (repeats allowed), also shorter than `RECENT`, with an item as target, and scores."""
    history = st.lists(st.integers(0, NUM_ITEMS - 1), min_size=4, max_size=12)
    histories = histories_of(dataset_of(draw(st.lists(history, min_size=1, max_size=3)), NUM_ITEMS))
    cases = histories.all_cases(draw(st.sampled_from([1, RECENT])))
    cases = cases[histories.targets(cases) != histories.eos]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = histories.num_tokens
    if distinct:
        scores = np.stack([generator.permutation(width) for _ in cases])
    else:
        scores = generator.integers(-5, 6, size=(len(cases), width))  # many ties
    return histories, cases, torch.from_numpy(scores.astype(np.float32))


@settings(max_examples=examples(60))
@given(case=cases(distinct=True), item_set=st.sampled_from(["items", "tokens"]))
def test_every_field_is_that_of_the_definition(case: Case, item_set: ItemSet) -> None:
    histories, cases, scores = case
    found = rank_batch(scores, histories, cases, item_set, RECENT)
    expected = plain_ranks(scores.numpy(), histories, cases, item_set, RECENT)
    for name, values in found.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@settings(max_examples=examples(60))
@given(case=cases(), item_set=st.sampled_from(["items", "tokens"]))
def test_ranks_with_ties_are_those_of_the_definition(case: Case, item_set: ItemSet) -> None:
    histories, cases, scores = case
    found = rank_batch(scores, histories, cases, item_set, RECENT)
    expected = plain_ranks(scores.numpy(), histories, cases, item_set, RECENT)
    for masking in MASKINGS:
        np.testing.assert_array_equal(found.rank(masking), expected[f"rank_{masking}"])


@settings(max_examples=examples(60))
@given(case=cases(distinct=True))
def test_a_monotone_transform_of_the_scores_changes_nothing(case: Case) -> None:
    histories, cases, scores = case
    before = rank_batch(scores, histories, cases, "items", RECENT)
    for other in (scores * 7 - 100, torch.log_softmax(scores.double(), dim=1), scores**3, torch.exp(scores / 10)):
        after = rank_batch(other, histories, cases, "items", RECENT)
        for name, values in before.arrays().items():
            np.testing.assert_array_equal(values, after.arrays()[name])


@settings(max_examples=examples(60))
@given(case=cases())
def test_masking_more_never_makes_a_rank_worse(case: Case) -> None:
    histories, cases, scores = case
    ranks = rank_batch(scores, histories, cases, "items", RECENT)
    assert (ranks.rank_history <= ranks.rank_window).all()
    assert (ranks.rank_window <= ranks.rank_none).all()
    assert (ranks.rank_history >= 1).all()
    assert (ranks.rank_none <= NUM_ITEMS).all()


@settings(max_examples=examples(60))
@given(case=cases())
def test_duplicates_grow_by_at_most_one_a_place_and_stay_within_what_there_is(case: Case) -> None:
    histories, cases, scores = case
    ranks = rank_batch(scores, histories, cases, "items", RECENT)
    for counts in (ranks.window_repeats_none, ranks.history_repeats_none, ranks.history_repeats_window):
        steps = np.diff(counts.astype(int), axis=1, prepend=0)
        assert ((steps == 0) | (steps == 1)).all()
    assert (ranks.window_repeats_none <= RECENT).all()
    assert (ranks.window_repeats_none <= ranks.history_repeats_none).all()


@settings(max_examples=examples(30))
@given(case=cases(distinct=True))
def test_a_higher_score_of_the_target_never_makes_its_rank_worse(case: Case) -> None:
    histories, cases, scores = case
    targets = torch.from_numpy(histories.targets(cases)).long()[:, None]
    better = scores.scatter_add(1, targets, torch.full((len(cases), 1), 5.5))
    before, after = (rank_batch(values, histories, cases, "items", RECENT) for values in (scores, better))
    for masking in MASKINGS:
        assert (after.rank(masking) <= before.rank(masking)).all()
