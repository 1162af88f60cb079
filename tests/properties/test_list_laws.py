"""Laws of lists made elsewhere: as far as they are known, they have the ranks of the model that made them."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.data.histories import Cases, Histories, histories_of
from recformer.evaluation.lists.kept import KeptLists, ListsRecord
from recformer.evaluation.lists.ranks import rank_lists
from recformer.evaluation.ranks import MASKINGS, MAX_K
from tests.builders import dataset_of
from tests.effort import examples
from tests.rank_reference import plain_ranks

NUM_ITEMS = 30
RECENT = 3
RECORD = ListsRecord(
    dataset="made up", fingerprint="0" * 16, split={"name": "leave_last_out"}, time_ties="file", part="test", k=None
)


@st.composite
def judged(draw: st.DrawFn) -> tuple[Histories, Cases, np.ndarray]:
    """One case of each of a few users (repeats allowed), with an item as target, and distinct scores."""
    history = st.lists(st.integers(0, NUM_ITEMS - 1), min_size=4, max_size=12)
    histories = histories_of(dataset_of(draw(st.lists(history, min_size=1, max_size=4)), NUM_ITEMS))
    last = histories.cases_at(histories.user_starts[1:] - 2)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return histories, last, np.stack([generator.permutation(histories.num_tokens) for _ in last]).astype(np.float32)


def lists_of(scores: np.ndarray, length: int, record: ListsRecord = RECORD) -> KeptLists:
    """The first items by scores (U, V) of each user."""
    items = np.argsort(-scores[:, :NUM_ITEMS], axis=1)[:, :length].astype(np.int32)
    starts = np.arange(len(scores) + 1) * items.shape[1]
    return KeptLists(np.arange(len(scores), dtype=np.int32), starts, items.ravel(), record)


@settings(max_examples=examples(60))
@given(judged=judged())
def test_whole_lists_have_every_field_of_the_definition(judged: tuple[Histories, Cases, np.ndarray]) -> None:
    histories, cases, scores = judged
    found = rank_lists(lists_of(scores, NUM_ITEMS), histories, cases, RECENT)
    expected = plain_ranks(scores, histories, cases, "items", RECENT)
    for name, values in expected.items():
        np.testing.assert_array_equal(found.arrays()[name], values, err_msg=name)


@settings(max_examples=examples(60))
@given(judged=judged(), length=st.integers(1, 25))
def test_as_far_as_a_list_is_known_ranks_are_those_of_the_definition(
    judged: tuple[Histories, Cases, np.ndarray], length: int
) -> None:
    histories, cases, scores = judged
    found = rank_lists(lists_of(scores, length), histories, cases, RECENT)
    expected = plain_ranks(scores, histories, cases, "items", RECENT)
    assert found.known_to("none") == min(length, MAX_K)
    assert found.known_to("none") >= found.known_to("window") >= found.known_to("history")
    for masking in MASKINGS:
        known = found.known_to(masking)
        rank, truth = found.rank(masking), expected[f"rank_{masking}"]
        assert np.array_equal(rank[truth <= known], truth[truth <= known])
        assert (rank[truth > known] > known).all()
        np.testing.assert_array_equal(found.top(masking)[:, :known], expected[f"top_{masking}"][:, :known])


@settings(max_examples=examples(30))
@given(judged=judged(), length=st.integers(2, 25))
def test_a_user_without_a_list_is_a_miss_and_limits_nobody(
    judged: tuple[Histories, Cases, np.ndarray], length: int
) -> None:
    histories, cases, scores = judged
    whole = lists_of(scores, length)
    some = replace(whole, users=whole.users[:1], starts=whole.starts[:2], items=whole.items[: whole.starts[1]])
    found, alone = (rank_lists(some, histories, which, RECENT) for which in (cases, cases[:1]))
    assert (found.rank("none")[1:] > NUM_ITEMS).all()
    assert all(found.known_to(masking) == alone.known_to(masking) for masking in MASKINGS)
