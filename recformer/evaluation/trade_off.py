"""The trade-off between accuracy and duplication: which models are not beaten at both?"""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (accuracy, duplication) whether no other point is at least as good at both and better at one.

    More accuracy and less duplication are better: of (.10, .2), (.09, .1) and (.08, .3) the first two are on the front.
    """
    return [not any(_beats(other, point) for other in points) for point in points]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other
