"""The front of models that none beats at accuracy and duplication both."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recformer.evaluation.compare import pareto_front

# A few levels only, so that equal coordinates and equal points are common.
POINTS = st.lists(st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float)), min_size=1, max_size=12)


def test_the_example_of_the_docstring() -> None:
    assert pareto_front([(0.10, 0.2), (0.09, 0.1), (0.08, 0.3)]) == [True, True, False]


def test_of_no_models_there_is_no_front() -> None:
    assert pareto_front([]) == []


def test_as_good_at_one_and_better_at_the_other_is_enough_to_beat() -> None:
    assert pareto_front([(0.2, 0.5), (0.2, 0.4)]) == [False, True]
    assert pareto_front([(0.2, 0.5), (0.3, 0.5)]) == [False, True]


def test_two_models_at_one_place_do_not_beat_each_other() -> None:
    assert pareto_front([(0.2, 0.4), (0.1, 0.9), (0.2, 0.4)]) == [True, False, True]


@given(POINTS)
def test_there_is_always_somebody_on_the_front_the_most_accurate_and_the_least_repeating(
    points: list[tuple[float, float]],
) -> None:
    front = [point for point, on in zip(points, pareto_front(points), strict=True) if on]
    assert max(point[0] for point in front) == max(point[0] for point in points)
    assert min(point[1] for point in front) == min(point[1] for point in points)


@given(POINTS)
def test_who_is_not_on_the_front_is_beaten_by_one_who_is_and_nobody_on_it_is_beaten(
    points: list[tuple[float, float]],
) -> None:
    on = pareto_front(points)
    front = [point for point, there in zip(points, on, strict=True) if there]
    for (accuracy, duplication), there in zip(points, on, strict=True):
        beaten = any((a > accuracy and d <= duplication) or (a >= accuracy and d < duplication) for a, d in front)
        assert beaten != there


@given(POINTS, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order_and_equal_points_share_their_fate(
    points: list[tuple[float, float]], random: object
) -> None:
    fate = dict(zip(points, pareto_front(points), strict=True))
    shuffled = [*points, points[0]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pareto_front(shuffled) == [fate[point] for point in shuffled]


@given(POINTS)
def test_along_the_front_more_accuracy_costs_more_duplication(points: list[tuple[float, float]]) -> None:
    front = sorted({point for point, on in zip(points, pareto_front(points), strict=True) if on})
    for one, other in pairwise(front):
        assert one[0] < other[0]
        assert one[1] < other[1]
