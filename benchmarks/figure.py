"""One measured figure, its spread, and the target it has to meet."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


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

    @classmethod
    def of(
        cls,
        what: str,
        values: Sequence[float],
        unit: str = "s",
        below: float | None = None,
        at_least: float | None = None,
    ) -> "Figure":
        """The median of `values`, which has to be less than `below`, or no less than `at_least`, where one is given."""
        median = statistics.median(values)
        target = f"< {below:g} {unit}" if below is not None else f"≥ {at_least:g} {unit}" if at_least else ""
        met = (below is None or median < below) and (at_least is None or median >= at_least)
        return cls(what, unit, median, min(values), max(values), target, met)

    def __str__(self) -> str:
        spread = f"{self.what}: {self.median:.4g} {self.unit} ({self.low:.4g} to {self.high:.4g})"
        return f"{spread}, target {self.target}{'' if self.met else ': MISSED'}" if self.target else spread


def report(figures: Sequence[Figure]) -> None:
    """Print a line for each figure, then all as JSON; end the process with code 1 where a target was missed."""
    for figure in figures:
        print(figure)
    print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False))
    sys.exit(not all(figure.met for figure in figures))
