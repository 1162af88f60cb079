"""Laws of the one rule: what is shown beside the primary metric never changes what it says."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.errors import UsageError
from recformer.evaluation.conclusion import answer
from recformer.evaluation.significance import METRICS, PRIMARY, Question, asked, correct
from recformer.evaluation.table import metric_names, summarise, summarise_view
from recformer.statistics.paired import holm
from tests.evaluation_builders import evaluation_of, made_up_ranks

OTHERS = [name for name in metric_names([1, 3, 5, 10]) if name != PRIMARY]
P = st.integers(1, 1024).map(lambda number: number / 1024)
LABELS = ["reference", "one", "other", "third", "fourth", "fifth"]


@st.composite
def some_results(draw: st.DrawFn, names: list[str]) -> list[dict[str, Any]]:
    """Results of a reference and one to five models, with any p-values, differences and intervals."""
    seen = {"trained_on": 0, "validated_on": 0, "cases": 100, "data_known": True}
    results: list[dict[str, Any]] = [{"run": "reference", "metrics": {name: {"mean": 0.5} for name in names}} | seen]
    for number in range(draw(st.integers(1, 5))):
        metrics = {name: {"mean": draw(st.floats(0, 1)), "difference": draw(differences())} for name in names}
        run = draw(st.sampled_from([f"run-{number}", f"baseline:{number}"]))
        results.append({"run": run, "metrics": metrics} | seen)
    return results


@st.composite
def differences(draw: st.DrawFn) -> dict[str, Any]:
    mean, narrow = draw(st.floats(-0.2, 0.2)), draw(st.floats(0, 0.1))
    wide = narrow + draw(st.floats(0, 0.1))
    ends = {"low": mean - wide, "high": mean + wide, "low_90": mean - narrow, "high_90": mean + narrow}
    return {"mean": mean, **ends, "p": draw(P), "standard_error": draw(st.none() | st.floats(0.001, 0.1))}


def answered(results: list[dict[str, Any]], names: list[str], question: Question) -> Any:
    results = copy.deepcopy(results)
    correct(results, names, question)
    figures = [result["metrics"][PRIMARY] for result in results]
    return figures, answer(LABELS[: len(results)], results, question)


@given(some_results([PRIMARY, *OTHERS]), st.lists(st.sampled_from(OTHERS), unique=True), st.none() | st.floats(1e-3, 1))
def test_adding_any_metric_changes_nothing_of_the_primary_figures_and_verdict(
    results: list[dict[str, Any]], others: list[str], margin: float | None
) -> None:
    question = Question(margin=margin)
    alone = answered(results, [PRIMARY], question)
    assert answered(results, [*others, PRIMARY], question) == alone
    assert answered(results, [PRIMARY, *others], question) == alone


@given(some_results([PRIMARY, "hr@10", "mrr@5", "map@5"]))
def test_each_family_is_corrected_by_holm_over_itself(results: list[dict[str, Any]]) -> None:
    correct(results, [PRIMARY, "hr@10", "mrr@5", "map@5"], Question())
    for names in ([PRIMARY], ["hr@10", "mrr@5"]):
        family = [result["metrics"][name]["difference"] for result in results[1:] for name in names]
        assert [entry["p_holm"] for entry in family] == holm(np.array([entry["p"] for entry in family])).tolist()
        assert {entry["comparisons"] for entry in family} == {len(family)}
        assert {entry["family"] for entry in family} == {"primary" if names == [PRIMARY] else "exploratory"}
    for result in results[1:]:
        assert result["metrics"]["map@5"]["difference"] == result["metrics"]["mrr@5"]["difference"]


@given(some_results([PRIMARY]), st.none() | st.floats(1e-3, 1))
def test_the_verdict_is_what_holm_and_the_sign_say_and_equivalence_what_the_90_percent_interval_says(
    results: list[dict[str, Any]], margin: float | None
) -> None:
    correct(results, [PRIMARY], Question(margin=margin))
    for entry in (result["metrics"][PRIMARY]["difference"] for result in results[1:]):
        clear = entry["p_holm"] < 0.05
        assert entry["verdict"] == ("undecided" if not clear else "better" if entry["mean"] > 0 else "worse")
        inside = None if margin is None else max(-entry["low_90"], entry["high_90"]) < margin
        assert entry["equivalent"] == inside


@given(some_results([PRIMARY]))
def test_the_sentence_agrees_with_the_stars_of_the_table(results: list[dict[str, Any]]) -> None:
    (_, *others), found = answered(results, [PRIMARY], Question())
    stars = {label: figure["difference"]["p_holm"] < 0.05 for label, figure in zip(LABELS[1:], others, strict=False)}
    undecided = [label for label, star in stars.items() if not star]
    assert [label for label in LABELS[1:] if f"{label} " in found.undecided] == undecided
    if "clearly above all others" in found.words and "not clearly" not in found.words:
        assert all(stars.values())
    if found.model != "reference":
        assert ("not clearly above" in found.words) == (found.model in undecided)
    if len(others) > 1:
        assert f"corrected for {len(others)} comparisons" in found.words


@given(some_results([PRIMARY]))
def test_every_model_below_a_baseline_is_told_so(results: list[dict[str, Any]]) -> None:
    _, found = answered(results, [PRIMARY], Question())
    means = {
        (label, result["run"].startswith("baseline:")): result["metrics"][PRIMARY]["mean"]
        for label, result in zip(LABELS, results, strict=False)
    }
    best = max((mean for (_, counted), mean in means.items() if counted), default=-1.0)
    told = found.below.replace(" is below", " are below")
    for (label, counted), mean in means.items():
        if not counted:
            assert (label in "".join(part.split(" are below")[0] for part in told.split("; "))) == (mean < best)


@pytest.mark.parametrize("names", [["ndcg@10"], metric_names([3, 10]), metric_names([1, 5, 10, 20])])
def test_real_ranks_give_one_primary_verdict_whatever_is_computed_beside_it(names: list[str]) -> None:
    models = [evaluation_of(made_up_ranks(seed, shift=2 * seed), f"run-{seed}") for seed in range(4)]
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


@given(st.sampled_from(METRICS), st.integers(1, 20), st.none() | st.floats(1e-6, 1))
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


@pytest.mark.parametrize("margin", [0.0, -0.01, float("nan"), float("inf")])
def test_a_margin_that_is_no_difference_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        asked(PRIMARY, margin)
