"""The one rule by which a difference counts, for every page, table, chart, export, report and command.

A comparison asks one question: how do the models differ from the reference in the primary metric? These differences
are one family, corrected over the models alone; what else is shown never changes them. All other differences are
exploratory: a family for each kind of metric, corrected over all of its metrics, shown or not. A star is about recipes:
what is trained gets one only when several seeds of it are compared. With one seed a clear difference is one of these
two models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recformer.data.ties import TimeTies
from recformer.errors import UsageError
from recformer.evaluation.ranks import MAX_K
from recformer.registry import METRICS as RANK_METRICS
from recformer.statistics.max_t import floor, max_t
from recformer.statistics.paired import detectable, holm
from recformer.statistics.users import UserSums

Result = dict[str, Any]
Settings = dict[str, float]
Family = Literal["primary", "exploratory"]
METRICS = ("ndcg", "mrr", "hr")
"""What may be primary. MAP is MRR here."""
PRIMARY = "ndcg@10"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Question:
    """What a comparison is about; it is chosen before anybody looks."""

    primary: str = PRIMARY
    """One of METRICS at one k."""
    margin: float | None = None
    """Differences of the primary metric below it do not matter; None where nobody said so."""

    @property
    def metric(self) -> str:
        return self.primary.partition("@")[0]

    @property
    def k(self) -> int:
        return int(self.primary.partition("@")[2])

    @property
    def title(self) -> str:
        """NDCG@10."""
        return f"{self.metric.upper()}@{self.k}"


def kind_of(name: str) -> str:
    """Which exploratory differences one of "mrr@5" is corrected with: accuracy, duplication, or what lists are like."""
    base = name.rpartition("@")[0]
    if base in RANK_METRICS.names():
        return "accuracy"
    return "duplication" if base.startswith("duplication/") else "lists"


def asked(primary: str, margin: float | None) -> Question:
    """The question of these words. Raises UsageError for a metric, k or margin that cannot be."""
    metric, at, k = primary.lower().partition("@")
    if metric not in METRICS or not at or not k.isascii() or not k.isdigit() or not 1 <= int(k[:9]) <= MAX_K:
        raise UsageError(
            f"the primary metric {primary!r} is not one of {', '.join(METRICS)} at a k from 1 to {MAX_K}: "
            f"write {PRIMARY}, for example"
        )
    if margin is not None and not 0 < margin < 1:  # false for NaN
        raise UsageError(
            f"the margin {margin:g} is not allowed: metrics lie between 0 and 1, so use a number above 0 and below 1, "
            "such as 0.01"
        )
    return Question(f"{metric}@{int(k)}", margin)


def correct(
    results: Sequence[Result],
    names: Sequence[str],
    question: Question,
    paired: UserSums | None,
    time_ties: TimeTies = "file",
) -> None:
    """Write into each tested difference of `results` and `names` what it counts for.

    "family", "comparisons" (of the family), "p_adjusted" and how ("correction"), "at_floor" (no p could be lower), and
    "detectable", the minimum detectable difference (None where no user differs from another); for the primary metric
    also "verdict" (better, worse, undecided) and "equivalent" (None without a margin). With one target a case MAP and
    MRR are one quantity: they are counted once and told the same. `paired`: all differences by user; each difference's
    "column" says which is its own, and goes.
    """
    twin = {name: name.replace("map", "mrr") for name in names if name.startswith("map@")}
    twin = {name: other for name, other in twin.items() if other in names and time_ties != "as_set"}
    counted = [name for name in names if name not in twin]
    if paired is not None:
        _correct(_tested(results, [question.primary]) if question.primary in counted else [], "primary", paired)
        others = [name for name in counted if name != question.primary]
        for kind in dict.fromkeys(map(kind_of, others)):
            _correct(_tested(results, [name for name in others if kind_of(name) == kind]), "exploratory", paired)
    for result in results:
        for name, other in twin.items():
            if "difference" in result["metrics"][name]:
                result["metrics"][name]["difference"] |= result["metrics"][other]["difference"]
    for difference in _tested(results, names):
        difference.pop("column", None)
    for difference in _tested(results, [name for name in names if twin.get(name, name) == question.primary]):
        _judge(difference, question)


def _tested(results: Sequence[Result], names: Sequence[str]) -> list[Result]:
    found = [result["metrics"][name].get("difference", {}) for result in results for name in names]
    return [difference for difference in found if "p" in difference]


def _correct(differences: list[Result], family: Family, paired: UserSums) -> None:
    """By max-T where the same random signs tested all of a family; where seeds have a say in any of them, by Holm."""
    if not differences:
        return
    flipped = all("freedom" not in difference for difference in differences)
    p = np.array([difference["p"] for difference in differences])
    adjusted = max_t(paired.columns([difference["column"] for difference in differences])) if flipped else holm(p)
    lowest = floor(len(paired.sums)) if flipped else -1.0  # only random signs have one
    for difference, value in zip(differences, adjusted.tolist(), strict=True):
        error = difference["standard_error"]
        difference |= {"p_adjusted": value, "correction": "max-T" if flipped else "Holm", "at_floor": value <= lowest}
        difference |= {"family": family, "comparisons": len(differences)}
        difference["detectable"] = detectable(error, len(differences)) if error else None


def best_of(results: Sequence[Result], name: str) -> int | None:
    """The place of the highest mean of the metric `name` among the models that count; None where none does."""
    places = [place for place, result in enumerate(results) if result["counts"]]
    return max(places, key=lambda place: results[place]["metrics"][name]["mean"], default=None)


def is_clear(difference: Result) -> bool:
    """Whether a difference is significant after its family's correction."""
    return difference.get("p_adjusted", 1.0) < SIGNIFICANT


def _judge(difference: Result, question: Question) -> None:
    verdict = "better" if difference["mean"] > 0 else "worse"
    difference["verdict"] = verdict if is_clear(difference) else "undecided"
    margin = question.margin
    known = difference["low_90"] is not None  # of a single user there is no interval
    inside = known and margin is not None and -margin < difference["low_90"] and difference["high_90"] < margin
    difference["equivalent"] = None if margin is None else inside
