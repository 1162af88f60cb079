"""Overlap of lists: worked numbers, and rank-biased overlap against a straightforward computation."""

import numpy as np
import pytest
from numpy.typing import NDArray

from recformer.recommend.overlap import CHUNK, jaccard, rank_biased_overlap


def rows(*lists: list[int]) -> NDArray[np.int64]:
    return np.array(lists, dtype=np.int64)


def plain_rbo(one: list[int], other: list[int], p: float) -> float:
    """Webber et al. 2010, equation 30, sum by sum, with Python's sets."""
    k = len(one)
    agreement = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, k + 1)]
    return agreement[-1] * p**k + (1 - p) / p * sum(a * p**d for d, a in enumerate(agreement, start=1))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [2, 3, 4], 2 / 4),
        ([1, 2, 3], [3, 1, 2], 1),
        ([1, 2], [3, 4], 0),
        ([1, 2, -1], [2, -1, -1], 1 / 2),
        ([-1, -1], [-1, -1], 1),
        ([1, -1], [-1, -1], 0),
    ],
)
def test_jaccard_by_hand(one: list[int], other: list[int], expected: float) -> None:
    assert jaccard(rows(one), rows(other)).tolist() == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2], [2, 1], 0.81 + 0.1 / 0.9 * 0.81),  # A = 0, 1
        ([1, 2], [1, 3], 0.5 * 0.81 + 0.1 / 0.9 * (0.9 + 0.5 * 0.81)),  # A = 1, 1/2
        ([1, 2], [3, 1], 0.5 * 0.81 + 0.1 / 0.9 * 0.5 * 0.81),  # A = 0, 1/2
        ([1, 2, 3], [4, 5, 1], 0.729 / 3 + 0.1 / 0.9 * 0.729 / 3),  # A = 0, 0, 1/3
        ([7, 8, 9], [7, 8, 9], 1),
        ([1, 2], [3, 4], 0),
        ([5, -1, -1], [5, -1, -1], 1),
        ([-1, -1], [-1, -1], 1),
    ],
)
def test_rank_biased_overlap_by_hand(one: list[int], other: list[int], expected: float) -> None:
    assert rank_biased_overlap(rows(one), rows(other)).tolist() == [pytest.approx(expected)]


def test_a_persistence_of_one_half_looks_at_the_top_almost_alone() -> None:
    top, bottom = rows([1, 2, 3, 4]), rows([1, 5, 6, 7])
    assert rank_biased_overlap(top, bottom, 0.5)[0] == pytest.approx(plain_rbo([1, 2, 3, 4], [1, 5, 6, 7], 0.5))
    assert rank_biased_overlap(top, bottom, 0.5)[0] > rank_biased_overlap(top, bottom, 0.9)[0]


def test_many_lists_are_compared_in_pieces_each_as_if_alone() -> None:
    draw = np.random.default_rng(0)
    one, other = (np.argsort(draw.random((CHUNK + 50, 12)), axis=1)[:, :6] for _ in range(2))
    together = rank_biased_overlap(one, other)
    for case in (0, CHUNK - 1, CHUNK, CHUNK + 49):
        expected = plain_rbo(one[case].tolist(), other[case].tolist(), 0.9)
        assert together[case] == pytest.approx(expected)
        assert jaccard(one, other)[case] == len(set(one[case]) & set(other[case])) / len(
            set(one[case]) | set(other[case])
        )


@pytest.mark.parametrize("persistence", [0, 1, -0.1, 1.5])
def test_a_persistence_that_is_no_share_is_refused(persistence: float) -> None:
    with pytest.raises(ValueError, match=f"persistence = {persistence}"):
        rank_biased_overlap(rows([1]), rows([1]), persistence)


def test_lists_of_different_lengths_have_no_common_depth() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        rank_biased_overlap(rows([1, 2]), rows([1, -1]))


def test_no_places_at_all_are_alike() -> None:
    nothing = np.empty((3, 0), dtype=np.int64)
    assert rank_biased_overlap(nothing, nothing).tolist() == [1, 1, 1]
    assert jaccard(nothing, nothing).tolist() == [1, 1, 1]
