"""Laws of ranks on any scores."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recformer.data.windows import Windows, windows_of

from recformer.evaluation.ranks import MASKINGS
from tests.both_rankings import rank_batch
from tests.builders import dataset_of
from tests.effort import examples
from tests.rank_reference import plain_ranks

NUM_ITEMS = 30
Case = tuple[Windows, np.ndarray, torch.Tensor]


@st.composite
def cases(draw: st.DrawFn, distinct: bool = False) -> Case:
    """Windows of a few histories (repeats allowed), all rows with an item as target, and scores."""
    history = st.lists(st.integers(0, NUM_ITEMS - 1), min_size=4, max_size=12)
    windows = windows_of(dataset_of(draw(st.lists(history, min_size=1, max_size=3)), NUM_ITEMS), 3)
    rows = np.arange(len(windows))
    rows = rows[windows.targets(rows) != windows.eos]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = windows.num_tokens
    if distinct:
        scores = np.stack([generator.permutation(width) for _ in rows])
    else:
        scores = generator.integers(-5, 6, size=(len(rows), width))  # many ties
    return windows, rows, torch.from_numpy(scores.astype(np.float32))


@settings(max_examples=examples(60))
@given(case=cases(distinct=True), items_only=st.booleans())
def test_every_field_is_that_of_the_definition(case: Case, items_only: bool) -> None:
    windows, rows, scores = case
    found = rank_batch(scores, windows, rows, items_only)
    expected = plain_ranks(scores.numpy(), windows, rows, items_only)
    for name, values in found.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@settings(max_examples=examples(60))
@given(case=cases(), items_only=st.booleans())
def test_ranks_with_ties_are_those_of_the_definition(case: Case, items_only: bool) -> None:
    windows, rows, scores = case
    found = rank_batch(scores, windows, rows, items_only)
    expected = plain_ranks(scores.numpy(), windows, rows, items_only)
    for masking in MASKINGS:
        np.testing.assert_array_equal(found.rank(masking), expected[f"rank_{masking}"])


@settings(max_examples=examples(60))
@given(case=cases(distinct=True))
def test_a_monotone_transform_of_the_scores_changes_nothing(case: Case) -> None:
    windows, rows, scores = case
    before = rank_batch(scores, windows, rows, items_only=True)
    for other in (scores * 7 - 100, torch.log_softmax(scores.double(), dim=1), scores**3, torch.exp(scores / 10)):
        after = rank_batch(other, windows, rows, items_only=True)
        for name, values in before.arrays().items():
            np.testing.assert_array_equal(values, after.arrays()[name])


@settings(max_examples=examples(60))
@given(case=cases())
def test_masking_more_never_makes_a_rank_worse(case: Case) -> None:
    windows, rows, scores = case
    ranks = rank_batch(scores, windows, rows, items_only=True)
    assert (ranks.rank_history <= ranks.rank_window).all()
    assert (ranks.rank_window <= ranks.rank_none).all()
    assert (ranks.rank_history >= 1).all()
    assert (ranks.rank_none <= NUM_ITEMS).all()


@settings(max_examples=examples(60))
@given(case=cases())
def test_duplicates_grow_by_at_most_one_a_place_and_stay_within_what_there_is(case: Case) -> None:
    windows, rows, scores = case
    ranks = rank_batch(scores, windows, rows, items_only=True)
    for counts in (ranks.window_repeats_none, ranks.history_repeats_none, ranks.history_repeats_window):
        steps = np.diff(counts.astype(int), axis=1, prepend=0)
        assert ((steps == 0) | (steps == 1)).all()
    assert (ranks.window_repeats_none <= windows.size).all()
    assert (ranks.window_repeats_none <= ranks.history_repeats_none).all()


@settings(max_examples=examples(30))
@given(case=cases(distinct=True))
def test_a_higher_score_of_the_target_never_makes_its_rank_worse(case: Case) -> None:
    windows, rows, scores = case
    targets = torch.from_numpy(windows.targets(rows)).long()[:, None]
    better = scores.scatter_add(1, targets, torch.full((len(rows), 1), 5.5))
    before, after = (rank_batch(values, windows, rows, items_only=True) for values in (scores, better))
    for masking in MASKINGS:
        assert (after.rank(masking) <= before.rank(masking)).all()
