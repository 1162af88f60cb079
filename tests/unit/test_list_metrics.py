"""Metrics of recommended lists: numbers worked by hand, and a slow reading of their definitions."""

from collections.abc import Sequence
from itertools import combinations
from math import log2
from statistics import fmean

import numpy as np
import pytest

from recformer.metric.lists import Catalogue, Lists
from recformer.registry import CATALOGUE_METRICS
from tests.evaluation_builders import genre_bits, list_metric, list_metric_names

LENGTH = 20
NAMES = [f"genre {number:03}" for number in range(200)]


def catalogue_of(plays: Sequence[int], num_users: int = 10, genres: Sequence[Sequence[str]] | None = None) -> Catalogue:
    rows = [list(row) for row in genres] if genres is not None else [["Drama"]] * len(plays)
    return Catalogue(np.array(plays, dtype=np.int64), num_users, genre_bits(rows))


def lists_of(
    items: Sequence[Sequence[int]],
    catalogue: Catalogue,
    windows: Sequence[set[int]] | None = None,
    histories: Sequence[set[int]] | None = None,
) -> Lists:
    """Lists of up to 20 items each, filled up with −1; repeats are counted from the sets of items had before."""
    full = [[*row, *[-1] * (LENGTH - len(row))] for row in items]

    def repeats(had: Sequence[set[int]]) -> np.ndarray:
        rows = [
            [sum(item in own for item in row[:k]) for k in range(1, LENGTH + 1)]
            for row, own in zip(full, had, strict=True)
        ]
        return np.array(rows, dtype=np.uint8).reshape(-1, LENGTH)

    nothing: list[set[int]] = [set()] * len(full)
    table = np.array(full, dtype=np.int32).reshape(-1, LENGTH)
    return Lists(table, repeats(windows or nothing), repeats(histories or nothing), catalogue)


def of_each(name: str, lists: Lists, k: int) -> list[float]:
    values = list_metric(name)(lists, k)
    assert values.shape == (len(lists.items),)
    assert values.dtype == np.float64
    return values.tolist()


def of_all(name: str, lists: Lists, k: int) -> float:
    value = CATALOGUE_METRICS.get(name)(lists, k)
    assert isinstance(value, float)
    return value


def genres_of(*rows: str) -> Lists:
    """One list of all movies, each with the genres named by the letters of its word."""
    return lists_of([list(range(len(rows)))], catalogue_of([0] * len(rows), genres=[list(row) for row in rows]))


def test_two_repeats_among_five_are_a_duplication_of_two_fifths() -> None:
    lists = lists_of([[4, 7, 1, 9, 2, 3]], catalogue_of([1] * 10), windows=[{7, 9}], histories=[{7, 9, 3, 1}])
    found = {k: of_each("duplication/window", lists, k)[0] for k in (1, 2, 3, 5, 10, 20)}
    assert found == {1: 0, 2: 0.5, 3: pytest.approx(1 / 3), 5: 0.4, 10: 0.2, 20: 0.1}
    found = {k: of_each("duplication/history", lists, k)[0] for k in (1, 2, 3, 5, 10)}
    assert found == {1: 0, 2: 0.5, 3: pytest.approx(2 / 3), 5: 0.6, 10: 0.4}


def test_a_list_that_is_all_repeats_has_a_duplication_of_one() -> None:
    items = list(range(20))
    lists = lists_of([items], catalogue_of([1] * 20), windows=[set(items)], histories=[set(items)])
    assert [of_each("duplication/window", lists, k) for k in (1, 7, 20)] == [[1], [1], [1]]


def test_duplication_of_a_short_list_is_a_share_of_k_places_not_of_those_filled() -> None:
    lists = lists_of([[3, 4]], catalogue_of([1] * 5), histories=[{3, 4}])
    assert of_each("duplication/history", lists, 2) == [1]
    assert of_each("duplication/history", lists, 10) == [0.2]


def test_novelty_is_the_bits_of_each_items_share_of_all_interactions() -> None:
    # With one added to each: 1, 3 and 4 of 8.
    catalogue = catalogue_of([0, 2, 3])
    assert of_each("novelty", lists_of([[0], [1], [2]], catalogue), 1) == pytest.approx([3, 3 - log2(3), 1])
    assert of_each("novelty", lists_of([[0, 2]], catalogue), 2) == [2]


def test_an_item_with_99_of_398_interactions_in_a_catalogue_of_two_has_a_novelty_of_two_bits() -> None:
    assert of_each("novelty", lists_of([[0]], catalogue_of([99, 299])), 1) == [2]


def test_an_item_nobody_had_has_a_finite_novelty_and_the_most_of_all() -> None:
    never, seldom = of_each("novelty", lists_of([[0], [1]], catalogue_of([0, 1, 500])), 1)
    assert np.isfinite(never)
    assert never == pytest.approx(seldom + 1)  # one of them is twice the other's share


def test_popularity_is_interactions_per_training_user() -> None:
    catalogue = catalogue_of([30, 10, 0], num_users=100)
    lists = lists_of([[0, 1], [2, 1], [1]], catalogue)
    assert of_each("popularity", lists, 2) == pytest.approx([0.2, 0.05, 0.1])
    assert of_each("popularity", lists, 1) == pytest.approx([0.3, 0, 0.1])


def test_popularity_where_nobody_was_trained_on_is_zero_not_an_error() -> None:
    assert of_each("popularity", lists_of([[0, 1]], catalogue_of([0, 0], num_users=0)), 2) == [0]


def test_comedy_beside_comedy_and_drama_has_a_diversity_of_one_half() -> None:
    assert of_each("diversity/genre", genres_of("c", "cd"), 2) == [0.5]


def test_diversity_is_the_mean_over_all_pairs_not_over_neighbours_alone() -> None:
    lists = genres_of("a", "b", "a")  # a b and b a share nothing, a a everything
    assert of_each("diversity/genre", lists, 3) == pytest.approx([2 / 3])
    assert of_each("diversity/genre", lists, 2) == [1]


def test_diversity_of_three_sets_worked_by_hand() -> None:
    # ab · bc: 1/3 shared, ab · abcd: 2/4, bc · abcd: 2/4.
    assert of_each("diversity/genre", genres_of("ab", "bc", "abcd"), 3) == pytest.approx([(2 / 3 + 1 / 2 + 1 / 2) / 3])


def test_movies_without_genres_share_nothing_with_any_other_nor_with_each_other() -> None:
    assert of_each("diversity/genre", genres_of("", "a", ""), 3) == [1]
    assert of_each("diversity/genre", genres_of("", ""), 2) == [1]


def test_a_catalogue_without_a_single_genre_has_bits_all_the_same() -> None:
    bits = genre_bits([[], []])["genre"]
    assert (bits.shape, bits.any()) == ((2, 1), False)


def test_a_list_of_fewer_than_two_items_has_no_diversity() -> None:
    lists = lists_of([[0], [], [0, 1]], catalogue_of([1, 1], genres=[["a"], ["b"]]))
    assert of_each("diversity/genre", lists, 20) == [0, 0, 1]
    assert of_each("diversity/genre", lists, 1) == [0, 0, 0]


def test_places_without_an_item_make_no_pairs_wherever_they_stand() -> None:
    gap = lists_of([[0, -1, 1]], catalogue_of([1, 1], genres=[["a"], ["a", "b"]]))
    assert of_each("diversity/genre", gap, 3) == [0.5]
    assert of_each("diversity/genre", gap, 2) == [0]


@pytest.mark.parametrize(("names", "words"), [(63, 1), (64, 1), (65, 2), (128, 2), (129, 3)])
def test_the_last_of_many_genres_tells_movies_apart(names: int, words: int) -> None:
    every = NAMES[:names]
    genres = [every, every[:-1], [every[-1]]]
    assert genre_bits(genres)["genre"].shape == (3, words)
    lists = lists_of([[0, 1], [0, 2], [1, 2]], catalogue_of([1] * 3, genres=genres))
    expected = [1 / names, 1 - 1 / names, 1]
    assert of_each("diversity/genre", lists, 2) == pytest.approx(expected)


def test_three_of_twelve_items_are_a_quarter_of_the_catalogue() -> None:
    lists = lists_of([[0, 5], [5, 11], [5]], catalogue_of([1] * 12))
    assert of_all("coverage", lists, 20) == 0.25
    assert of_all("coverage", lists, 1) == pytest.approx(2 / 12)


def test_coverage_counts_no_missing_place_as_an_item() -> None:
    assert of_all("coverage", lists_of([[1], []], catalogue_of([1] * 4)), 20) == 0.25
    assert of_all("coverage", lists_of([[], []], catalogue_of([1] * 4)), 20) == 0


def test_everything_shown_is_a_coverage_of_one() -> None:
    assert of_all("coverage", lists_of([[0, 1], [2, 3]], catalogue_of([1] * 4)), 2) == 1


def test_gini_of_one_item_of_four_is_three_quarters() -> None:
    assert of_all("gini", lists_of([[2]] * 8, catalogue_of([1] * 4)), 20) == 0.75


def test_gini_of_all_items_alike_is_zero() -> None:
    assert of_all("gini", lists_of([[0, 1], [2, 3], [1, 0], [3, 2]], catalogue_of([1] * 4)), 2) == 0


def test_gini_worked_by_hand() -> None:
    # Shown 0, 1, 1 and 2 times: weights −3, −1, 1, 3 give 6, over 4 · 4.
    lists = lists_of([[3, 1], [3, 2]], catalogue_of([1] * 4))
    assert of_all("gini", lists, 2) == 6 / 16
    assert of_all("gini", lists, 1) == 0.75


def test_gini_where_nothing_is_shown_is_zero() -> None:
    assert of_all("gini", lists_of([[], []], catalogue_of([1] * 4)), 20) == 0


@pytest.mark.parametrize("name", [*list_metric_names(), *CATALOGUE_METRICS.names()])
def test_empty_lists_are_worth_nothing_and_no_lists_are_no_error(name: str) -> None:
    empty = lists_of([[], []], catalogue_of([3, 4]), windows=[{0}, {1}], histories=[{0}, {1}])
    none = lists_of([], catalogue_of([3, 4]))
    if name in list_metric_names():
        assert of_each(name, empty, 10) == [0, 0]
        assert of_each(name, none, 10) == []
    else:
        assert of_all(name, empty, 10) == of_all(name, none, 10) == 0


# The definitions once more, slowly.


def plain_duplication(row: list[int], had: set[int], k: int) -> float:
    return sum(item in had for item in row[:k]) / k


def plain_mean(row: list[int], of_item: Sequence[float], k: int) -> float:
    values = [of_item[item] for item in row[:k] if item >= 0]
    return fmean(values) if values else 0.0


def plain_diversity(row: list[int], genres: Sequence[Sequence[str]], k: int) -> float:
    sets = [set(genres[item]) for item in row[:k] if item >= 0]
    distances = [1 - (len(a & b) / len(a | b) if a | b else 0) for a, b in combinations(sets, 2)]
    return fmean(distances) if distances else 0.0


def plain_gini(shown: list[int]) -> float:
    """Half of the mean difference between any two items, over the mean."""
    if not sum(shown):
        return 0.0
    return sum(abs(one - other) for one in shown for other in shown) / (2 * len(shown) * sum(shown))


@pytest.mark.parametrize("num_genres", [1, 18, 70, 150])
@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_all_metrics_are_those_of_a_slow_reading_of_their_definitions(k: int, num_genres: int) -> None:
    draw = np.random.default_rng(100 * k + num_genres)
    num_items = 40
    plays = draw.integers(0, 50, num_items).tolist()
    most = min(num_genres, 6)
    genres = [
        draw.choice(NAMES[:num_genres], draw.integers(most + 1), replace=False).tolist() for _ in range(num_items)
    ]
    items: list[list[int]] = []
    for _ in range(30):
        row = draw.permutation(num_items)[: draw.integers(0, LENGTH + 1)]
        items.append(np.where(draw.random(len(row)) < 0.15, -1, row).tolist())  # SOS and EOS leave gaps
    windows = [set(draw.choice(num_items, 5, replace=False).tolist()) for _ in items]
    histories = [own | set(draw.choice(num_items, 12, replace=False).tolist()) for own in windows]
    lists = lists_of(items, catalogue_of(plays, 17, genres), windows, histories)
    bits = [-log2((count + 1) / (sum(plays) + num_items)) for count in plays]
    expected = {
        "duplication/window": [plain_duplication(row, own, k) for row, own in zip(items, windows, strict=True)],
        "duplication/history": [plain_duplication(row, own, k) for row, own in zip(items, histories, strict=True)],
        "novelty": [plain_mean(row, bits, k) for row in items],
        "popularity": [plain_mean(row, [count / 17 for count in plays], k) for row in items],
        "diversity/genre": [plain_diversity(row, genres, k) for row in items],
    }
    assert set(expected) == set(list_metric_names())
    for name, values in expected.items():
        assert of_each(name, lists, k) == pytest.approx(values, abs=1e-12), name
    shown = [sum(item in row[:k] for row in items) for item in range(num_items)]
    assert of_all("coverage", lists, k) == sum(count > 0 for count in shown) / num_items
    assert of_all("gini", lists, k) == pytest.approx(plain_gini(shown))
