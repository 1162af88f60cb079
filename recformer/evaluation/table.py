"""From ranks to the numbers that are shown: means with intervals, tested differences to a baseline, one JSON shape."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recformer.data.ties import TimeTies
from recformer.errors import EvaluationError, UsageError
from recformer.evaluation.cases import Facts, Known
from recformer.evaluation.protocol import Protocol, require_same
from recformer.evaluation.ranks import MASKINGS, MAX_K, Masking, Ranks
from recformer.evaluation.significance import Question, Settings, best_of, correct, kind_of
from recformer.evaluation.split_facts import SplitFacts
from recformer.metric.lists import Lists
from recformer.registry import CATALOGUE_METRICS, CATEGORY_METRICS, LIST_METRICS, METRICS
from recformer.run.model_ref import ModelRef
from recformer.statistics.interval import intervals, rank_interval
from recformer.statistics.paired import paired_effect_size, sign_flip_p, standard_error
from recformer.statistics.recipes import recipe_difference
from recformer.statistics.users import UserSums, side_by_side, user_sums

Result = dict[str, Any]
FAMILY_CUTOFFS = (3, 5, 10)
"""At which exploratory differences are looked at, shown or not."""
Column = tuple[str, Masking]
"""A quantity of `metric_names`, and the masking of the lists that it is measured on."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The ranks of one model under one protocol."""

    model: ModelRef
    """Of seeds taken together, the first."""
    protocol: Protocol
    seeds: tuple[Ranks, ...]
    """One ranking; several where runs that differ in their seed alone are taken together."""
    facts: Facts | None
    """None where no metric of lists is asked for."""
    known: Known
    """Cases of the protocol that the model, or what its weights began with, has seen."""
    settings: Settings = field(default_factory=dict[str, float])
    """Of a baseline those that validation chose; empty for all others."""
    commit: str = ""
    """Commit of the code that trained it."""
    not_kept: str = ""
    """Why its ranks could not be stored, "" where they are: the next comparison then computes them again."""
    split_facts: SplitFacts | None = None
    """Of the part that it is evaluated on; None where nobody asked."""
    data_known: bool = True
    """Whether anything says which data it was trained on; where not, only its sizes were compared."""
    solved: bool = False
    """Whether the model was solved at once, from counts."""

    @property
    def ranks(self) -> Ranks:
        return self.seeds[0]

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed would have given another model: not where nothing is drawn."""
        return not (self.model.is_baseline or self.solved)

    @property
    def categories(self) -> list[str]:
        """Columns of the item table whose diversity can be told."""
        return [] if self.facts is None else list(self.facts.catalogue.categories)


def checked_cutoffs(cutoffs: list[int]) -> list[int]:
    """Sorted, distinct cutoffs. Raises UsageError for one outside of 1 to 20."""
    wrong = [k for k in cutoffs if not 1 <= k <= MAX_K]
    if wrong or not cutoffs:
        raise UsageError(f"k = {wrong[0] if wrong else 'nothing'} is not allowed: use whole numbers from 1 to {MAX_K}")
    return sorted(set(cutoffs))


def metric_names(cutoffs: list[int], time_ties: TimeTies = "file", categories: Sequence[str] = ()) -> list[str]:
    """Names of all quantities that are means over cases, such as ndcg@10 and duplication/window@10.

    Where each case has one target, recall is left out: it is the hit rate. `categories`: columns of the item table.
    """
    of_ranks = [name for name in METRICS.names() if name != "recall" or time_ties == "as_set"]
    of_categories = [f"{name}/{column}" for name in CATEGORY_METRICS.names() for column in categories]
    of_lists = sorted([*LIST_METRICS.names(), *of_categories])
    return [f"{name}@{k}" for name in [*of_ranks, *of_lists] for k in cutoffs]


def named(names: list[str], wanted: str | None) -> list[str]:
    """The quantities among `names` ("ndcg@10") of the metrics that are wanted ("ndcg,hr"); all where None.

    A name may do without what follows its slash where that leaves one metric: diversity is diversity/genre.
    """
    if wanted is None:
        return names
    bases = list(dict.fromkeys(name.rpartition("@")[0] for name in names))
    asked = [name.strip() for name in wanted.split(",") if name.strip()]
    meant = {name: [base for base in bases if name in (base, base.partition("/")[0])] for name in asked}
    several = [f"{name} is {' or '.join(found)}" for name, found in meant.items() if len(found) > 1]
    unknown = [name for name, found in meant.items() if not found]
    if several or unknown or not asked:
        what = f"there is no metric {', '.join(unknown)}" if unknown else "; ".join(several) or "no metric is named"
        raise UsageError(f"{what}; there are {', '.join(bases)}", cli="Name some of them: --metrics ndcg,hr")
    wanted_bases = {base for found in meant.values() for base in found}
    return [name for name in names if name.rpartition("@")[0] in wanted_bases]


def catalogue_names(cutoffs: list[int]) -> list[str]:
    """Names of all quantities of the lists as a whole, such as coverage@10; they have no interval."""
    return [f"{name}@{k}" for name in CATALOGUE_METRICS.names() for k in cutoffs]


def direction(name: str) -> int:
    """1 where more is better, −1 where less is, 0 where that depends on what one wants. `name` without or with @k."""
    base = name.split("@")[0]
    if base in METRICS.names():
        return 1
    return -1 if base.startswith("duplication/") else 0


def is_bounded(name: str) -> bool:
    """Whether a quantity lies between 0 and 1; novelty is in bits."""
    return not name.startswith("novelty@")


def case_values(evaluation: Evaluation, masking: Masking, names: Sequence[str]) -> NDArray[np.float64]:
    """(N, M) one row a case, one column a name of `metric_names`; the mean over seeds where there are several."""
    columns: list[Column] = [(name, masking) for name in names]
    return np.mean([_values(ranks, evaluation.facts, columns) for ranks in evaluation.seeds], axis=0)


def _values(ranks: Ranks, facts: Facts | None, columns: Sequence[Column]) -> NDArray[np.float64]:
    lists: dict[Masking, Lists] = {}
    values: list[NDArray[np.float64]] = []
    for name, masking in columns:
        base, k = _parts(name)
        if base in METRICS.names():
            values.append(METRICS.get(base)(ranks.places(masking), k, ranks.num_targets))
            continue
        if masking not in lists:
            lists[masking] = _lists(ranks, facts, masking)
        values.append(_of_lists(base, lists[masking], k))
    return np.stack(values, axis=1)


def _of_lists(base: str, lists: Lists, k: int) -> NDArray[np.float64]:
    family, _, column = base.partition("/")
    if family in CATEGORY_METRICS.names():
        return CATEGORY_METRICS.get(family)(lists, k, column)
    return LIST_METRICS.get(base)(lists, k)


def _parts(name: str) -> tuple[str, int]:
    base, _, k = name.rpartition("@")  # a column of categories may have an @ in its name
    return base, int(k)


def _lists(ranks: Ranks, facts: Facts | None, masking: Masking) -> Lists:
    if facts is None:
        raise ValueError("metrics of lists need the facts of their cases")  # a programmer's mistake
    top, catalogue = ranks.top(masking), facts.catalogue
    items = np.where(top < catalogue.num_items, top, -1)  # SOS and EOS are no items
    return Lists(items, ranks.repeats("window", masking), ranks.repeats("history", masking), catalogue)


def summarise(
    evaluations: Sequence[Evaluation],
    cutoffs: list[int],
    baseline: int | None = None,
    question: Question | None = None,
) -> dict[str, Any]:
    """`{"protocol", "results"}` as `evaluate --json` and `compare --format json` print it.

    Every mean has its 95% interval over users (see `statistics.interval`), None for a single user. With `baseline` (a
    position in `evaluations`) the other models' means also have the paired difference to it: its interval, a
    randomization p-value, the effect size, and what it counts for under the rule (see `significance.correct`) over all
    that have the same masking; "primary" then says the `question`, whose metric is always among the results, and "best"
    for each masking which model that counts is the best by it; the others have their difference to that one under
    "to_best". Quantities of `catalogue_names` stand under "catalogue". Beside lists that were made elsewhere, all that
    lies beyond the places that are known is left out. Raises EvaluationError when the protocols differ.
    """
    protocol, question = protocol_of_all(evaluations), question or Question()
    of_all = catalogue_names(cutoffs)
    every = metric_names(cutoffs, protocol.time_ties, evaluations[0].categories)
    if baseline is not None and question.primary not in every:
        every.insert(0, question.primary)
    limits = {masking: known_to(evaluations, masking) for masking in MASKINGS}
    names = {masking: _up_to(limit, every) for masking, limit in limits.items()}
    of_lists = {masking: _up_to(limit, of_all) for masking, limit in limits.items()}
    measuring = {
        masking: names[masking] if baseline is None else _with_family(names[masking], evaluations, question, limit)
        for masking, limit in limits.items()
    }
    columns: list[Column] = [(name, one) for one in MASKINGS for name in [*measuring[one], *of_lists[one]]]
    measured, paired = _measured(evaluations, columns, baseline)
    results = [
        _result(evaluation, masking, {name: values[name, masking] for name in measuring[masking]})
        | {"catalogue": {name: _of_catalogue(values[name, masking]) for name in of_lists[masking]}}
        for evaluation, values in zip(evaluations, measured, strict=True)
        for masking in MASKINGS
    ]
    for masking in MASKINGS:
        shown = [result for result in results if result["masking"] == masking]
        correct(shown, measuring[masking], question, paired, protocol.time_ties)
        _keep(shown, names[masking])
    summary: dict[str, Any] = {"protocol": protocol.as_dict(), "results": results}
    if baseline is not None:
        summary["best"] = {
            masking: _add_to_best([one for one in results if one["masking"] == masking], evaluations, question)
            for masking in MASKINGS
            if question.primary in names[masking]
        }
    if (facts := evaluations[0].split_facts) is not None:
        summary["split_facts"] = asdict(facts)
    if baseline is not None:
        summary["primary"] = {"metric": question.primary, "margin": question.margin, "reference": baseline}
    return summary


def summarise_view(
    evaluations: Sequence[Evaluation],
    masking: Masking,
    names: Sequence[str],
    baseline: int | None = None,
    question: Question | None = None,
) -> list[Result]:
    """One result a model with `names` alone, as a page or a table shows them: under `masking_of`, with the rule over
    exactly what is shown.

    Quantities of `catalogue_names` stand among the metrics, with None for the ends of their interval. Raises
    EvaluationError as `summarise` does.
    """
    protocol = protocol_of_all(evaluations)
    question = question or Question()
    limit = known_to(evaluations, masking)
    measuring = names if baseline is None else _with_family(names, evaluations, question, limit)
    columns: dict[str, Column] = {name: (name, masking_of(name, masking)) for name in measuring}
    measured, paired = _measured(evaluations, list(columns.values()), baseline)
    results = [
        _result(evaluation, masking, {name: values[column] for name, column in columns.items()})
        for evaluation, values in zip(evaluations, measured, strict=True)
    ]
    correct(results, measuring, question, paired, protocol.time_ties)
    _keep(results, names)
    if baseline is not None and question.primary in names:
        _add_to_best(results, evaluations, question)
    return results


def _keep(results: Sequence[Result], names: Sequence[str]) -> None:
    for result in results:
        result["metrics"] = {name: result["metrics"][name] for name in names}


def _add_to_best(results: Sequence[Result], evaluations: Sequence[Evaluation], question: Question) -> str | None:
    """Write into each result, all of one masking, its primary metric's paired difference to the best model that counts.

    "to_best" holds "of" (which model that is), "family", "mean", "low", "high" and "about". It is exploratory and
    has no p: the same data chose the best, which flatters it. Returns the best model; None where no model counts.
    """
    best = best_of(results, question.primary)
    if best is None or len(results) < 2:
        return None
    column = (question.primary, results[best]["masking"])
    seeds = [[user_sums(_values(ranks, one.facts, [column]), ranks.user) for ranks in one.seeds] for one in evaluations]
    tables = [user_sums(case_values(one, column[1], [column[0]]), one.ranks.user) for one in evaluations]
    others = [place for place in range(len(results)) if place != best]
    pairs = [tables[place].minus(tables[best]) for place in others]
    for place, pair, figures in zip(others, pairs, _intervals(side_by_side(pairs)), strict=True):
        (about,) = _about([evaluations[place], evaluations[best]], pair, [seeds[place], seeds[best]])
        kept = {name: (figures | about)[name] for name in ("mean", "low", "high", "about")}
        said = {"of": str(evaluations[best].model), "family": "exploratory"}
        results[place]["metrics"][question.primary]["to_best"] = said | kept
    return str(evaluations[best].model)


def known_to(evaluations: Sequence[Evaluation], masking: Masking) -> int:
    """The largest cutoff for which all models' cases are known: 20, or less beside lists that were made elsewhere."""
    return min(ranks.known_to(masking) for evaluation in evaluations for ranks in evaluation.seeds)


def _up_to(limit: int, names: Sequence[str]) -> list[str]:
    return [name for name in names if _parts(name)[1] <= limit]


def _with_family(names: Sequence[str], evaluations: Sequence[Evaluation], question: Question, limit: int) -> list[str]:
    """`names`, and what their exploratory differences are corrected with: all metrics of their kinds, at the usual
    cutoffs and at those that are asked for, shown or not, up to a limit. So hiding some gives no star to others."""
    kinds = {kind_of(name) for name in names if name != question.primary}
    cutoffs = sorted({*FAMILY_CUTOFFS, question.k, *(_parts(name)[1] for name in names)})
    every = metric_names(cutoffs, evaluations[0].protocol.time_ties, evaluations[0].categories)
    return list(dict.fromkeys([*names, *(name for name in _up_to(limit, every) if kind_of(name) in kinds)]))


def masking_of(name: str, masking: Masking) -> Masking:
    """The masking under which a quantity is shown: duplication is a question to the raw list, for what is masked
    cannot repeat."""
    return "none" if name.startswith("duplication/") else masking


def protocol_of_all(evaluations: Sequence[Evaluation]) -> Protocol:
    """The one protocol of all. Raises EvaluationError where there is none, or several."""
    if not evaluations:
        raise EvaluationError("there is nothing to summarise: name at least one run or checkpoint")
    return require_same([evaluation.protocol for evaluation in evaluations])


def _measured(
    evaluations: Sequence[Evaluation], columns: Sequence[Column], baseline: int | None
) -> tuple[list[dict[Column, Result]], UserSums | None]:
    """For each model the quantities, with their intervals and the tested differences to the baseline where they are
    means over cases; and all these differences by user, of which a difference's "column" is one. None without any."""
    of_all = [column for column in columns if _parts(column[0])[0] in CATALOGUE_METRICS.names()]
    measured, paired = _means(evaluations, [column for column in columns if column not in of_all], baseline)
    for name, masking in of_all:
        values = [_catalogue_value(evaluation, name, masking) for evaluation in evaluations]
        for place, value in enumerate(values):
            entry = measured[place][name, masking] = {"mean": value, "low": None, "high": None}
            if baseline is not None and place != baseline:
                entry["difference"] = {"mean": value - values[baseline]}
    return measured, paired


def _means(
    evaluations: Sequence[Evaluation], columns: Sequence[Column], baseline: int | None
) -> tuple[list[dict[Column, Result]], UserSums | None]:
    if not columns:
        return [{} for _ in evaluations], None
    by_seed = [[_values(ranks, evaluation.facts, columns) for ranks in evaluation.seeds] for evaluation in evaluations]
    tables = [
        user_sums(np.mean(values, axis=0), evaluation.ranks.user)
        for values, evaluation in zip(by_seed, evaluations, strict=True)
    ]
    others = [place for place in range(len(tables)) if baseline is not None and place != baseline]
    pairs = [tables[place].minus(tables[baseline or 0]) for place in others]
    paired = side_by_side(pairs) if pairs else None
    bounded = np.tile([is_bounded(name) for name, _ in columns], len(tables) + len(pairs))
    ends = iter(_intervals(side_by_side([*tables, *pairs]), len(tables) * len(columns), bounded))
    tests = iter(_tests(paired) if paired is not None else ())
    measured = [{column: next(ends) for column in columns} for _ in tables]
    for metric in (metric for metrics in measured for metric in metrics.values()):
        del metric["low_90"], metric["high_90"]
    of_ranks = [place for place, (name, _) in enumerate(columns) if _parts(name)[0] in METRICS.names()]
    for metrics, table, values in zip(measured, tables, by_seed, strict=True):
        squares = (np.mean(values, axis=0)[:, of_ranks] ** 2).mean(axis=0)
        low, high = rank_interval(table.columns(of_ranks), squares)
        for place, row in zip(of_ranks, rows_of({"low": low, "high": high}), strict=True):
            metrics[columns[place]] |= row
    number = itertools.count()
    for place, pair in zip(others, pairs, strict=True):
        compared = (place, baseline or 0)
        seeds = [[user_sums(values, evaluations[one].ranks.user) for values in by_seed[one]] for one in compared]
        about = _about([evaluations[one] for one in compared], pair, seeds)
        for column, said in zip(columns, about, strict=True):
            measured[place][column]["difference"] = next(ends) | next(tests) | said | {"column": next(number)}
    for values, metrics in zip(by_seed, measured, strict=True):
        if len(values) > 1:
            _add_seeds(metrics, values)
    return measured, paired


def _about(compared: Sequence[Evaluation], pair: UserSums, seeds: Sequence[Sequence[UserSums]]) -> list[dict[str, Any]]:
    """What the differences of two models are about, one entry a quantity: "models", these two as they were trained, or
    "recipes", whatever their seeds.

    What is counted or solved is the same each time. What is trained is known as a recipe from two seeds on: interval,
    error and p are then those of users and seeds together. A single user says nothing of others, however many seeds
    there are.
    """
    trained = [recipe for one, recipe in zip(compared, seeds, strict=True) if one.depends_on_seed]
    count = pair.sums.shape[1]
    if any(len(recipe) < 2 for recipe in trained) or (trained and len(pair.sums) < 2):
        return [{"about": "models"}] * count
    if not trained:
        return [{"about": "recipes"}] * count
    found = recipe_difference(pair, trained)
    (low, high), (low_90, high_90) = found.interval(pair.mean, 95), found.interval(pair.mean, 90)
    ends = {"low": low, "high": high, "low_90": low_90, "high_90": high_90}
    rows = rows_of(ends | {"p": found.p, "standard_error": found.error, "freedom": found.freedom})
    # Where all users and seeds are alike there is no error to measure by: what is known of users alone stays.
    return [{"about": "recipes"} | (row if row["standard_error"] else {}) for row in rows]


def _catalogue_value(evaluation: Evaluation, name: str, masking: Masking) -> float:
    """A quantity of the lists as a whole; the mean over seeds where there are several."""
    base, k = _parts(name)
    lists = [_lists(ranks, evaluation.facts, masking) for ranks in evaluation.seeds]
    return float(np.mean([CATALOGUE_METRICS.get(base)(one, k) for one in lists]))


def _of_catalogue(entry: Result) -> Result:
    """How a summary holds a quantity of the lists as a whole."""
    difference = {"difference": entry["difference"]["mean"]} if "difference" in entry else {}
    return {"value": entry["mean"]} | difference


def _intervals(table: UserSums, num_means: int = 0, bounded: NDArray[np.bool_] | None = None) -> list[Result]:
    """Means with their 95% interval, and their 90% interval, which equivalence asks for; None where there is none.

    The first `num_means` columns are means, the others differences; `bounded`: see `intervals`, all of them by default.
    """
    signed = np.arange(table.sums.shape[1]) >= num_means
    bounded = np.ones_like(signed) if bounded is None else bounded
    (low, high), (low_90, high_90) = intervals(table, [95, 90], signed, bounded)
    return rows_of({"mean": table.mean, "low": low, "high": high, "low_90": low_90, "high_90": high_90})


def _tests(table: UserSums) -> list[Result]:
    error = standard_error(table)
    return rows_of({"p": sign_flip_p(table), "effect_size": paired_effect_size(table), "standard_error": error})


def rows_of(columns: dict[str, NDArray[Any]]) -> list[Result]:
    """One row an entry of the columns; what is no finite number is None."""
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [
        {name: value if isfinite(value) else None for name, value in zip(columns, row, strict=True)} for row in rows
    ]


def _result(evaluation: Evaluation, masking: Masking, metrics: dict[str, Any]) -> Result:
    return {
        "run": evaluation.model.run,
        "checkpoint": evaluation.model.checkpoint,
        "masking": masking,
        "cases": len(evaluation.ranks),
        "users": len(np.unique(evaluation.ranks.user)),
        "seeds": len(evaluation.seeds),
        "depends_on_seed": evaluation.depends_on_seed,
        "trained_on": evaluation.known.trained_on,
        "validated_on": evaluation.known.validated_on,
        "counts": evaluation.known.trained_on == 0,  # whether it may be called the best
        "settings": evaluation.settings,
        "commit": evaluation.commit,
        "data_known": evaluation.data_known,
        "lists": lists_in_words(evaluation.ranks, masking) if evaluation.ranks.are_lists else None,
        "metrics": metrics,
    }


def lists_in_words(ranks: Ranks, masking: Masking) -> str:
    """What everybody must know of figures of lists that were made elsewhere."""
    words = (
        f"lists made elsewhere, up to K = {ranks.known_to(masking)}: ranks beyond are unknown, and that whoever made "
        "them saw none of these cases is the word of who imported them"
    )
    if ranks.history_repeats_none.any():
        return words
    return f"{words}; seen items are not in them, so what they say of duplication and without masking may flatter them"


def _add_seeds(metrics: dict[Column, Result], values: Sequence[NDArray[np.float64]]) -> None:
    """The least and the greatest seed's mean, and the standard deviation over seeds."""
    means = np.array([table.mean(axis=0) for table in values])  # (S, M)
    for metric, column in zip(metrics.values(), means.T, strict=True):
        spread = float(column.std(ddof=1))
        metric["seeds"] = {"low": float(column.min()), "high": float(column.max()), "sd": spread}
