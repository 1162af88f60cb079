"""Laws of the one rule: what is shown beside the primary metric never changes what it says."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.errors import UsageError
from recformer.evaluation.compare import join_seeds
from recformer.evaluation.conclusion import answer
from recformer.evaluation.report import stars
from recformer.evaluation.significance import METRICS, PRIMARY, Question, asked, correct
from recformer.evaluation.table import metric_names, summarise, summarise_view
from recformer.run.model_ref import PREFIX
from recformer.statistics import paired
from recformer.statistics.max_t import floor, max_t
from recformer.statistics.paired import holm, sign_flip_p
from recformer.statistics.users import UserSums
from tests.evaluation_builders import evaluation_of, made_up_ranks

OTHERS = [name for name in metric_names([1, 3, 5, 10], categories=["genre"]) if name != PRIMARY]
P = st.integers(1, 1024).map(lambda number: number / 1024)
FEW_FLIPS = 500
"""Random signs of a test here: these laws hold whatever their number."""
Family = tuple[list[dict[str, Any]], UserSums]
"""Results, and their differences by user."""
LABELS = ["reference", "one", "other", "third", "fourth", "fifth"]


@pytest.fixture(autouse=True, scope="module")
def few_flips() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired, "MOST_FLIPS", FEW_FLIPS)
        patch.setattr(paired, "LEAST_FLIPS", FEW_FLIPS)
        patch.setattr(paired, "_known", {})
        yield


@st.composite
def some_results(draw: st.DrawFn, names: list[str], seeds: bool | None = None) -> Family:
    """Results of a reference and one to five models, with any differences by user, p-values and intervals.

    `seeds`: whether seeds have a say in some of the differences; None for sometimes.
    """
    seen = {"trained_on": 0, "validated_on": 0, "counts": True, "cases": 100, "users": 20}
    seen |= {"data_known": True, "seeds": 1, "depends_on_seed": True, "lists": None}
    results: list[dict[str, Any]] = [{"run": "reference", "metrics": {name: {"mean": 0.5} for name in names}} | seen]
    count = draw(st.integers(1, 5))
    with_seeds = draw(st.booleans()) if seeds is None else seeds
    by_seeds = draw(st.lists(st.booleans(), min_size=count, max_size=count)) if with_seeds else [False] * count
    if with_seeds and seeds and not any(by_seeds):
        by_seeds[0] = True
    size, drawn = count * len(names), np.random.default_rng(draw(st.integers(0, 2**32)))
    sums = drawn.normal(drawn.choice([0, 0.3, 1], size), 1, size=(20, size)) + drawn.normal(size=(20, 1))
    table = UserSums(np.ones((20, 1)), sums / 10)
    p, columns = sign_flip_p(table), iter(range(size))
    for number in range(count):
        metrics: dict[str, Any] = {}
        for name in names:
            column = next(columns)
            entry = draw(differences()) | {"column": column, "p": float(p[column]), "mean": float(table.mean[column])}
            if by_seeds[number]:
                entry |= {"about": "recipes", "freedom": draw(st.floats(1, 50)), "p": draw(P)}
            metrics[name] = {"mean": draw(st.floats(0, 1)), "difference": entry}
        run = draw(st.sampled_from([f"run-{number}", f"baseline:{number}"]))
        told = {"seeds": 2 if by_seeds[number] else 1, "depends_on_seed": not run.startswith(PREFIX)}
        results.append({"run": run, "metrics": metrics} | seen | told)
    return results, table


@st.composite
def differences(draw: st.DrawFn) -> dict[str, Any]:
    mean, narrow = draw(st.floats(-0.2, 0.2)), draw(st.floats(0, 0.1))
    wide = narrow + draw(st.floats(0, 0.1))
    ends = {"low": mean - wide, "high": mean + wide, "low_90": mean - narrow, "high_90": mean + narrow}
    about, error = draw(st.sampled_from(["models", "recipes"])), draw(st.floats(0.001, 0.1))
    return {"mean": mean, **ends, "about": about, "standard_error": error}


def answered(family: Family, names: list[str], question: Question) -> Any:
    results = copy.deepcopy(family[0])
    correct(results, names, question, family[1])
    figures = [result["metrics"][PRIMARY] for result in results]
    return figures, answer(LABELS[: len(results)], results, question, "validation")


@given(some_results([PRIMARY, *OTHERS]), st.lists(st.sampled_from(OTHERS), unique=True), st.none() | st.floats(1e-3, 1))
def test_adding_any_metric_changes_nothing_of_the_primary_figures_and_verdict(
    family: Family, others: list[str], margin: float | None
) -> None:
    question = Question(margin=margin)
    alone = answered(family, [PRIMARY], question)
    assert answered(family, [*others, PRIMARY], question) == alone
    assert answered(family, [PRIMARY, *others], question) == alone


NAMES = [PRIMARY, "hr@10", "mrr@5", "map@5"]


@pytest.mark.parametrize("seeds", [False, True])
@given(st.data())
def test_each_family_is_corrected_over_itself_by_max_t_or_where_seeds_have_a_say_by_holm(
    seeds: bool, data: st.DataObject
) -> None:
    results, table = data.draw(some_results(NAMES, seeds))
    columns = {
        (place, name): result["metrics"][name]["difference"]["column"]
        for place, result in enumerate(results[1:], 1)
        for name in NAMES
    }
    correct(results, NAMES, Question(), table)
    for names in ([PRIMARY], ["hr@10", "mrr@5"]):
        places = [(place, name) for place in range(1, len(results)) for name in names]
        family = [results[place]["metrics"][name]["difference"] for place, name in places]
        flips = max_t(table.columns([columns[place] for place in places]))
        expected = holm(np.array([entry["p"] for entry in family])) if seeds else flips
        assert [entry["p_adjusted"] for entry in family] == expected.tolist()
        assert {entry["correction"] for entry in family} == {"Holm" if seeds else "max-T"}
        assert [entry["at_floor"] for entry in family] == [not seeds and p <= floor(20) for p in expected]
        assert {entry["comparisons"] for entry in family} == {len(family)}
        assert {entry["family"] for entry in family} == {"primary" if names == [PRIMARY] else "exploratory"}
        assert all(entry["p_adjusted"] >= entry["p"] - 2 / FEW_FLIPS for entry in family)
    for result in results[1:]:
        assert result["metrics"]["map@5"]["difference"] == result["metrics"]["mrr@5"]["difference"]
        assert all("column" not in metric["difference"] for metric in result["metrics"].values())


@given(some_results([PRIMARY, "hr@10"]))
def test_a_family_of_one_has_its_own_p(family: Family) -> None:
    results, table = family
    alone = results[:2]
    correct(alone, [PRIMARY, "hr@10"], Question(), table)
    for name in (PRIMARY, "hr@10"):
        entry = alone[1]["metrics"][name]["difference"]
        assert entry["comparisons"] == 1
        assert entry["p_adjusted"] == pytest.approx(entry["p"], abs=2 / FEW_FLIPS)  # rounding may tie two signs


@given(some_results([PRIMARY]), st.none() | st.floats(1e-3, 1))
def test_the_verdict_is_what_the_corrected_p_and_the_sign_say_and_equivalence_what_the_90_percent_interval_says(
    family: Family, margin: float | None
) -> None:
    results, table = family
    correct(results, [PRIMARY], Question(margin=margin), table)
    for entry in (result["metrics"][PRIMARY]["difference"] for result in results[1:]):
        clear = entry["p_adjusted"] < 0.05
        assert entry["verdict"] == ("undecided" if not clear else "better" if entry["mean"] > 0 else "worse")
        several = entry["standard_error"] is not None  # a single user has none, and shows nothing
        inside = None if margin is None else several and max(-entry["low_90"], entry["high_90"]) < margin
        assert entry["equivalent"] == inside


@given(some_results([PRIMARY]))
def test_only_recipes_have_stars_and_what_is_clear_of_models_has_a_dagger(family: Family) -> None:
    figures, _ = answered(family, [PRIMARY], Question())
    for entry in (figure["difference"] for figure in figures[1:]):
        p = entry["p_adjusted"]
        of_recipes = "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""
        of_models = "†" if p < 0.05 else ""
        assert stars(entry) == {"models": of_models, "recipes": of_recipes}[entry["about"]]


@given(some_results([PRIMARY]))
def test_the_sentence_agrees_with_the_marks_of_the_table(family: Family) -> None:
    (_, *others), found = answered(family, [PRIMARY], Question())
    marks = {label: stars(figure["difference"]) != "" for label, figure in zip(LABELS[1:], others, strict=False)}
    undecided = [label for label, mark in marks.items() if not mark]
    assert [label for label in LABELS[1:] if f"{label} " in found.undecided] == undecided
    if "clearly above all others" in found.words and "not clearly" not in found.words:
        assert all(marks.values())
    if found.words.endswith(" too."):
        return  # several have the highest value: no difference of it is told
    if found.model != "reference":
        assert ("not clearly above" in found.words) == (found.model in undecided)
    if len(others) > 1:
        assert f"corrected for {len(others)} comparisons" in found.words
    if "another seed may differ" in found.seeds:
        assert "models" in {figure["difference"]["about"] for figure in others}
    elif any(result["seeds"] == 1 and not result["run"].startswith("baseline:") for result in family[0]):
        assert "†" not in {stars(figure["difference"]) for figure in others}


@given(some_results([PRIMARY]))
def test_every_model_below_a_baseline_is_told_so(family: Family) -> None:
    results, found = family[0], answered(family, [PRIMARY], Question())[1]
    means = {
        (label, result["run"].startswith("baseline:")): result["metrics"][PRIMARY]["mean"]
        for label, result in zip(LABELS, results, strict=False)
    }
    best = max((mean for (_, counted), mean in means.items() if counted), default=-1.0)
    told = found.below.replace(" is below", " are below")
    for (label, counted), mean in means.items():
        if not counted:
            assert (label in "".join(part.split(" are below")[0] for part in told.split("; "))) == (mean < best)


@pytest.mark.parametrize(
    "names",
    [["ndcg@10"], metric_names([3, 10], categories=["genre"]), metric_names([1, 5, 10, 20], categories=["genre"])],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_real_ranks_give_one_primary_verdict_whatever_is_computed_beside_it(names: list[str], seeds: int) -> None:
    models = [
        join_seeds(
            [evaluation_of(made_up_ranks(10 * run + seed, shift=2 * run), f"run-{run}") for seed in range(seeds)]
        )
        for run in range(4)
    ]
    alone = summarise_view(models, "history", ["ndcg@10"], 0)
    beside = summarise_view(models, "history", names, 0)
    summary = summarise(models, sorted({int(name.split("@")[1]) for name in names}), 0)
    printed = [result for result in summary["results"] if result["masking"] == "history"]
    for one, other, third in zip(alone, beside, printed, strict=True):
        wanted = one["metrics"]["ndcg@10"].get("difference", {})
        for found in (other["metrics"]["ndcg@10"], third["metrics"]["ndcg@10"]):
            words = {key: value for key, value in wanted.items() if isinstance(value, str)}
            numbers = {key: value for key, value in wanted.items() if key not in words and value is not None}
            assert {key: found["difference"][key] for key in words} == words
            assert {key: found["difference"][key] for key in numbers} == pytest.approx(numbers)


def test_the_primary_metric_is_among_the_results_whatever_k_is_asked_for() -> None:
    models = [evaluation_of(made_up_ranks(seed), f"run-{seed}") for seed in range(2)]
    summary = summarise(models, [3], 0, question=Question("hr@7"))
    assert summary["primary"] == {"metric": "hr@7", "margin": None, "reference": 0}
    assert summary["results"][-1]["metrics"]["hr@7"]["difference"]["family"] == "primary"
    assert summary["results"][-1]["metrics"]["ndcg@3"]["difference"]["family"] == "exploratory"
    assert "hr@7" not in summarise(models, [3])["results"][0]["metrics"]


@given(st.sampled_from(METRICS), st.integers(1, 20), st.none() | st.floats(1e-6, 1, exclude_max=True))
def test_every_question_that_can_be_asked_is_understood(metric: str, k: int, margin: float | None) -> None:
    assert asked(f"{metric.upper()}@{k}", margin) == Question(f"{metric}@{k}", margin)


@given(st.text(max_size=12))
def test_any_other_words_are_refused_with_what_is_allowed(text: str) -> None:
    try:
        found = asked(text, None)
    except UsageError as error:
        assert PRIMARY in str(error)
    else:
        assert found.metric in METRICS and 1 <= found.k <= 20


@pytest.mark.parametrize("margin", [0.0, -0.01, 1.0, 1e308, float("nan"), float("inf")])
def test_a_margin_that_no_metric_can_differ_by_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        asked(PRIMARY, margin)
