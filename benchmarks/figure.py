"""One measured figure, its spread, and the target it has to meet."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

ENOUGH = 10  # repeats from which on a 95th percentile says more than the highest


@dataclass
class Figure:
    """One measured quantity over its repeats."""

    what: str
    unit: str
    median: float
    low: float
    high: float
    target: str = ""
    met: bool = True
    p95: float | None = None
    """The 95th percentile, where there were enough repeats."""

    @classmethod
    def of(
        cls,
        what: str,
        values: Sequence[float],
        unit: str = "s",
        below: float | None = None,
        at_least: float | None = None,
        p95_below: float | None = None,
    ) -> "Figure":
        """The median of `values`, which has to be less than `below`, or no less than `at_least`, where one is given.

        With `p95_below` it is the 95th percentile that has to be less. Raises ValueError where there are too few
        values for one.
        """
        median, p95 = statistics.median(values), _p95(values)
        target = f"< {below:g} {unit}" if below is not None else f"≥ {at_least:g} {unit}" if at_least else ""
        met = (below is None or median < below) and (at_least is None or median >= at_least)
        if p95_below is not None:
            if p95 is None:
                raise ValueError(f"{what}: {len(values)} values have no 95th percentile; measure at least {ENOUGH}")
            target, met = f"p95 < {p95_below:g} {unit}", p95 < p95_below
        return cls(what, unit, median, min(values), max(values), target, met, p95)

    def __str__(self) -> str:
        p95 = "" if self.p95 is None else f", p95 {self.p95:.4g}"
        spread = f"{self.what}: {self.median:.4g} {self.unit} ({self.low:.4g} to {self.high:.4g}{p95})"
        return f"{spread}, target {self.target}{'' if self.met else ': MISSED'}" if self.target else spread


def _p95(values: Sequence[float]) -> float | None:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) >= ENOUGH else None


def report(figures: Sequence[Figure]) -> None:
    """Print a line for each figure, then all as JSON; end the process with code 1 where a target was missed."""
    for figure in figures:
        print(figure)
    print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False))
    sys.exit(not all(figure.met for figure in figures))
