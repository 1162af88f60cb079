"""A comparison's answer in words, for page, report and command line: what the primary metric says, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recformer.data.split.base import Part
from recformer.errors import count
from recformer.evaluation.significance import Question, Result, best_of
from recformer.run.model_ref import PREFIX

ONE_USER = "1 user: no interval"
CHOSEN = ", which chose each checkpoint"


@dataclass(frozen=True)
class Conclusion:
    """Sentences; an empty one has nothing to say."""

    model: str
    """The model with the highest primary metric among those that count; "" where none does."""
    words: str
    """What follows its name: how high, and whether the data can tell it from the reference; or why none is named."""
    not_counted: str
    """Which model has a higher value and is not named, since it was trained on cases, or nobody knows."""
    part: str
    """On which part of the split this is, and what that means."""
    below: str
    """Which models lie below a baseline."""
    undecided: str
    """Which models the data cannot tell from the reference, each with its interval and its detectable difference; or
    that a single user can show nothing."""
    seeds: str
    """Which models are several seeds of one recipe taken together, and which were trained with one seed, so that what
    differs may be the seed."""
    leaks: str
    """Which models have seen cases that they are evaluated on."""
    elsewhere: str
    """Which models are lists that were made elsewhere, how far they are known, and by whose word they count."""

    @property
    def sentences(self) -> list[str]:
        best = f"{self.model} {self.words}".lstrip()
        every = (best, self.not_counted, self.below, self.undecided, self.seeds, self.leaks, self.elsewhere, self.part)
        return [sentence for sentence in every if sentence]


def answer(
    labels: Sequence[str], results: Sequence[Result], question: Question, part: Part, looks: int | None = None
) -> Conclusion:
    """The answer of the models called `labels`, from their `results`, which hold the primary metric under one masking.

    The reference is the model without a difference. `looks`: how many checkpoints were looked at on this test so far.
    """
    figures = [result["metrics"][question.primary] for result in results]
    best = best_of(results, question.primary)
    if best is None:
        words = (
            "No model here can be called best: each was trained on cases that it is evaluated on, or nobody knows "
            "what it was trained on."
        )
    else:
        counted = [place for place, result in enumerate(results) if result["counts"]]
        among = "" if len(counted) == len(results) else " of the models that count"
        value = figures[best]["mean"]
        as_high = [labels[place] for place in counted if place != best and figures[place]["mean"] == value]
        certainty = f", as {listed(as_high)} too" if as_high else _certainty(labels, figures, best, counted)
        words = f"has the highest {question.title}{among}, {value:.4f}{certainty}."
    runs = [result["run"] for result in results]
    return Conclusion(
        model="" if best is None else labels[best],
        words=words,
        not_counted=_not_counted(labels, results, question, best),
        below=_below(labels, runs, figures),
        undecided=_undecided(labels, results, figures, question),
        seeds=_seeds(labels, results, figures),
        leaks=_leaks(labels, results, part),
        elsewhere=elsewhere(labels, results),
        part=_part(labels, results, part, looks),
    )


def elsewhere(labels: Sequence[str], results: Sequence[Result]) -> str:
    """What must be said of models that are lists made elsewhere; "" where none is."""
    found: dict[str, list[str]] = {}
    for label, result in zip(labels, results, strict=True):
        if result["lists"]:
            found.setdefault(result["lists"], []).append(label)
    return " ".join(f"{listed(named)}: {words}." for words, named in found.items())


def _not_counted(labels: Sequence[str], results: Sequence[Result], question: Question, best: int | None) -> str:
    """That the highest value of all is one that does not count, and why; "" where the best that counts is as high."""
    means = [result["metrics"][question.primary]["mean"] for result in results]
    highest = max(range(len(means)), key=means.__getitem__)
    if best is not None and means[best] >= means[highest]:
        return ""
    seen, cases = results[highest]["trained_on"], results[highest]["cases"]
    why = (
        "nobody knows what it was trained on"
        if seen is None
        else f"it was trained on {seen:,} of {count(cases, 'case')}"
    )
    return f"{labels[highest]} has the highest value, {means[highest]:.4f}, but {why}, so it does not count."


def _part(labels: Sequence[str], results: Sequence[Result], part: Part, looks: int | None) -> str:
    if part == "validation":
        trained = [
            (label, result)
            for label, result in zip(labels, results, strict=True)
            if not result["run"].startswith(PREFIX) and not result["lists"]
        ]
        partly = [
            f"{label} by {_of_cases(result['validated_on'], result['cases'])}"
            for label, result in trained
            if result["validated_on"] != result["cases"]
        ]
        which = f", which did not choose each checkpoint as a whole: {'; '.join(partly)}" if partly else CHOSEN
        return (
            f"On the validation part{which}: whoever had more to choose from is slightly flattered. The test is the "
            "last step."
        )
    if looks is None:
        return "On the test part."
    return f"On the test part, where {count(looks, 'checkpoint')} {'was' if looks == 1 else 'were'} looked at so far."


def _of_cases(seen: int | None, cases: int) -> str:
    return "nobody knows how many" if seen is None else f"{seen:,} of {count(cases, 'case')}"


def _certainty(labels: Sequence[str], figures: Sequence[Result], best: int, counted: Sequence[int]) -> str:
    """What is known of the best model's distance: against the reference, which is what was tested.

    `counted`: places of the models that it may be the best of.
    """
    tested = [(labels[place], figures[place]["difference"]) for place in counted if _is_tested(figures[place])]
    if not tested:
        return ""
    comparisons = tested[0][1]["comparisons"]
    corrected = f"; corrected for {comparisons} comparisons" if comparisons > 1 else ""
    if not _is_tested(figures[best]):
        unclear = [label for label, difference in tested if difference["verdict"] == "undecided"]
        others = "all others" if len(counted) == len(labels) else "all others that count"
        clear = f", but not clearly above {listed(unclear)}" if unclear else f", clearly above {others}"
        only = "" if unclear else of_models_only([difference for _, difference in tested])
        return f"{clear}{only}{corrected}"
    difference = figures[best]["difference"]
    reference = next(label for label, figure in zip(labels, figures, strict=True) if not _is_tested(figure))
    if difference["verdict"] == "undecided":
        return f", but not clearly above {reference}, the reference{corrected}"
    bounds = interval(difference["low"], difference["high"])
    side = "above" if difference["verdict"] == "better" else "below"
    only = of_models_only([difference])
    return f", clearly {side} {reference}, the reference{only} ({signed(difference['mean'])}, 95% {bounds}{corrected})"


def of_models_only(differences: Sequence[Result]) -> str:
    """What restricts a claim that rests on a model of one seed: it says nothing of the recipe. "" where none does."""
    if not any(difference["about"] == "models" for difference in differences):
        return ""
    return f" ({'these two models' if len(differences) == 1 else 'these models'}; another seed may differ)"


def _below(labels: Sequence[str], runs: Sequence[str], figures: Sequence[Result]) -> str:
    """Which trained models have a lower mean than a baseline; "clearly" where that was tested, and is so."""
    baselines = [place for place, run in enumerate(runs) if run.startswith(PREFIX)]
    found: dict[str, list[str]] = {}
    clear: list[Result] = []
    for place in (place for place in range(len(runs)) if place not in baselines):
        above = [other for other in baselines if figures[other]["mean"] > figures[place]["mean"]]
        shown = [_clear_difference(figures[place], figures[other]) for other in above]
        clear += [difference for difference in shown if difference]
        named = [f"{labels[other]}{' (clearly)' * bool(is_so)}" for other, is_so in zip(above, shown, strict=True)]
        if named:
            found.setdefault(listed(named), []).append(labels[place])
    parts = [f"{listed(models)} {'is' if len(models) == 1 else 'are'} below {above}" for above, models in found.items()]
    verdict = f"counting does better than training here{of_models_only(clear)}" if clear else "how much is not clear"
    return f"{'; '.join(parts)}: {verdict}." if parts else ""


def _clear_difference(model: Result, baseline: Result) -> Result | None:
    """The difference that has a model clearly below a baseline; None where that is not clear, or was not tested."""
    if _is_tested(model) and _is_tested(baseline):
        return None
    differences = [(model.get("difference", {}), "worse"), (baseline.get("difference", {}), "better")]
    return next((difference for difference, verdict in differences if difference.get("verdict") == verdict), None)


def _undecided(labels: Sequence[str], results: Sequence[Result], figures: Sequence[Result], question: Question) -> str:
    if results[0]["users"] == 1:
        return "A single user can show nothing: no model is told apart from another."
    open_ = [
        f"{label} {signed(figure['difference']['mean'])} ({beside(figure['difference'], question)})"
        for label, figure in zip(labels, figures, strict=True)
        if _is_tested(figure) and figure["difference"]["verdict"] == "undecided"
    ]
    return f"Not told apart from the reference: {'; '.join(open_)}." if open_ else ""


def _seeds(labels: Sequence[str], results: Sequence[Result], figures: Sequence[Result]) -> str:
    """What is a mean over seeds; and where a difference is of models, not of recipes, which of them have one seed."""
    joined = [label for label, result in zip(labels, results, strict=True) if result["seeds"] > 1]
    together = f"Seeds of one recipe are taken together, as their mean: {listed(joined)}." if joined else ""
    tested = [figure["difference"] for figure in figures if _is_tested(figure)]
    alone = [
        label
        for label, result in zip(labels, results, strict=True)
        if result["seeds"] == 1 and result["depends_on_seed"]
    ]
    if not alone or not any(difference["about"] == "models" for difference in tested):
        return together
    was = "was" if len(alone) == 1 else "were"
    single = f"{listed(alone)} {was} trained with one seed: another seed may differ. Compare several seeds of each."
    return f"{together} {single}".lstrip()


def _leaks(labels: Sequence[str], results: Sequence[Result], part: Part) -> str:
    """Which models, by themselves or by what their weights began with, have seen cases that they are evaluated on.

    On the validation part every checkpoint was chosen: that is what it is for.
    """
    trained = [_seen(label, result) for label, result in zip(labels, results, strict=True) if not result["counts"]]
    leaking = f"Trained on what it is evaluated on: {'; '.join(trained)}. Such values flatter the model."
    chosen = [
        f"{label}: {result['validated_on']:,} of {count(result['cases'], 'case')}"
        for label, result in zip(labels, results, strict=True)
        if result["validated_on"] and part == "test"
    ]
    also = f"Its best checkpoint was chosen on what it is evaluated on: {'; '.join(chosen)}." if chosen else ""
    return " ".join(sentence for sentence in (leaking if trained else "", also) if sentence)


def _seen(label: str, result: Result) -> str:
    if (known := result["trained_on"]) is not None:
        return f"{label}: {known:,} of {count(result['cases'], 'case')}"
    data = "" if result["data_known"] else "; nothing says which data it is from, only its sizes fit"
    return f"{label}: unknown, since nothing says what it or what it began with was trained on; it probably leaks{data}"


def beside(difference: dict[str, Any], question: Question) -> str:
    """What stands beside a difference that is not significant: its interval, the smallest one that these users could
    have shown, and whether it is equivalent: "95% −0.0060 to +0.0036, detectable 0.0071, equivalent within ±0.01"."""
    if difference["low"] is None:
        return ONE_USER
    size = difference["detectable"]
    known = "" if size is None else f", detectable {size:.4f}"
    alike = (
        f", equivalent within ±{question.margin:g}{of_models_only([difference])}" if difference["equivalent"] else ""
    )
    return f"95% {interval(difference['low'], difference['high'])}{known}{alike}"


def signed(value: float) -> str:
    """A difference as people write it: −0.0012."""
    return f"{value:+.4f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    return f"{signed(low)} to {signed(high)}"


def _is_tested(figure: Result) -> bool:
    return "verdict" in figure.get("difference", {})


def listed(names: Sequence[str]) -> str:
    """One, another and a third."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
