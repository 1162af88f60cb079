"""A comparison's answer never crowns who was trained on its cases, or of whom nobody knows; differences to the best."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recformer.data.split.base import Part
from recformer.evaluation.compare import comparison_of, join_seeds
from recformer.evaluation.conclusion import Conclusion
from recformer.evaluation.report import render
from recformer.evaluation.significance import Question, asked
from recformer.evaluation.table import Evaluation, summarise
from recformer.run.model_ref import ModelRef
from tests.evaluation_builders import evaluation_of, made_up_ranks

ONLY = "(these two models; another seed may differ)"
OTHER = ModelRef("best", "other", Path("best.safetensors"))
WEAK, STRONG = 0, 14
"""How much better ranks are made: whoever has the second is far above."""
NOBODY = (
    "No model here can be called best: each was trained on cases that it is evaluated on, or nobody knows what it was "
    "trained on."
)


def models(*given: tuple[str, int, int | None], part: Part = "test") -> list[Evaluation]:
    """Name, strength, and how many of the cases each was trained on."""
    return [
        evaluation_of(made_up_ranks(place, shift=shift), name, trained_on=trained_on, part=part)
        for place, (name, shift, trained_on) in enumerate(given)
    ]


def concluded(evaluations: list[Evaluation]) -> tuple[Conclusion, list[dict[str, Any]]]:
    comparison = comparison_of({one.model: one for one in evaluations}, evaluations[0].model)
    results = comparison.results("history", [comparison.question.primary])
    return comparison.answer(results), results


def mean_of(result: dict[str, Any]) -> str:
    return f"{result['metrics']['ndcg@10']['mean']:.4f}"


@pytest.mark.parametrize(
    ("trained_on", "why"),
    [(58, "it was trained on 58 of 60 cases"), (None, "nobody knows what it was trained on")],
    ids=["known", "unknown"],
)
def test_whoever_knows_the_cases_is_not_named_as_highest(trained_on: int | None, why: str) -> None:
    said, results = concluded(models(("fair", WEAK, 0), ("better", 3, 0), ("leaking", STRONG, trained_on)))
    assert said.model == "better"
    assert said.words.startswith(f"has the highest NDCG@10 of the models that count, {mean_of(results[1])}")
    expected = f"leaking has the highest value, {mean_of(results[2])}, but {why}, so it does not count."
    assert said.not_counted == expected and said.sentences[1] == expected
    assert [result["counts"] for result in results] == [True, True, False]


def test_models_of_one_value_have_it_together() -> None:
    same = made_up_ranks(0, shift=3)
    pair = [evaluation_of(same, name) for name in ("one", "twin")]
    said, results = concluded([*pair, *models(("weak", WEAK - 5, 0))])
    assert said.words == f"has the highest NDCG@10, {mean_of(results[0])}, as twin too."
    assert concluded(pair)[0].words == f"has the highest NDCG@10, {mean_of(results[0])}, as twin too."


def test_a_reference_that_counts_is_clearly_above_all_others_that_count() -> None:
    said, _ = concluded(models(("fair", STRONG, 0), ("weak", WEAK, 0), ("leaking", STRONG + 10, 60)))
    assert said.model == "fair" and f", clearly above all others that count {ONLY}; corrected" in said.words


def test_the_best_that_counts_may_be_clearly_below_a_reference_that_does_not() -> None:
    said, _ = concluded(models(("leaking", STRONG, 60), ("fair", WEAK, 0)))
    assert said.model == "fair" and f"clearly below leaking, the reference {ONLY} (−" in said.words


def test_a_claim_of_one_seed_is_about_these_models_and_of_several_about_their_recipes() -> None:
    """In the same words wherever it is said: who is clearly above, who is equivalent, and that counting does better."""
    far = [evaluation_of(made_up_ranks(seed, shift=STRONG), f"far-{seed}") for seed in range(3)]
    weak = [evaluation_of(made_up_ranks(seed, shift=WEAK), f"weak-{seed}") for seed in range(3, 6)]
    counted = replace(evaluation_of(made_up_ranks(9, shift=STRONG), "counted"), model=ModelRef("popularity"))
    question = asked("ndcg@10", 0.9)
    for several in (False, True):
        recipes = [join_seeds(group) if several else group[0] for group in (far, weak)]
        comparison = comparison_of({one.model: one for one in recipes}, recipes[0].model)
        said = comparison.answer(comparison.results("history", ["ndcg@10"]))
        assert "clearly above all others" in said.words and (ONLY in said.words) == (not several)
        below = comparison_of({one.model: one for one in (counted, recipes[1])}, counted.model)
        words = below.answer(below.results("history", ["ndcg@10"])).below
        assert "counting does better than training here" in words and (ONLY in words) == (not several)
        twins = (recipes[1], replace(recipes[1], model=OTHER))
        twins = (recipes[1], replace(recipes[1], model=OTHER))
        alike = comparison_of({one.model: one for one in twins}, None, question)
        undecided = alike.answer(alike.results("history", ["ndcg@10"])).undecided
        assert "equivalent within ±0.9" in undecided and (ONLY in undecided) == (not several)


def test_of_what_is_solved_nobody_says_that_another_seed_may_differ() -> None:
    solved = replace(evaluation_of(made_up_ranks(0, shift=STRONG), "ridge"), solved=True)
    counted = replace(evaluation_of(made_up_ranks(9, shift=WEAK), "counted"), model=ModelRef("popularity"))
    comparison = comparison_of({one.model: one for one in (solved, counted)}, counted.model)
    results = comparison.results("history", ["ndcg@10"])
    assert results[0]["metrics"]["ndcg@10"]["difference"]["about"] == "recipes"
    assert "seed" not in " ".join(comparison.answer(results).sentences)


def test_the_reference_is_the_first_that_counts_unless_another_is_chosen() -> None:
    some = models(("leaking", STRONG, 60), ("unknown", WEAK, None), ("fair", WEAK, 0))
    found = {one.model: one for one in some}
    assert comparison_of(found, None, Question()).reference == 2
    assert comparison_of(found, some[0].model, Question()).reference == 0
    assert comparison_of(dict(list(found.items())[:2]), None, Question()).reference == 0
    assert comparison_of(found, None).reference is None


def test_who_knows_the_cases_and_is_lower_all_the_same_is_named_as_a_leak_alone() -> None:
    said, _ = concluded(models(("fair", STRONG, 0), ("leaking", WEAK, 60)))
    assert said.model == "fair" and said.not_counted == "" and "leaking: 60 of 60 cases" in said.leaks


def test_where_nobody_counts_no_model_is_called_best() -> None:
    said, results = concluded(models(("one", WEAK, 60), ("other", STRONG, None)))
    assert (said.model, said.words) == ("", NOBODY)
    assert said.sentences[:2] == [
        NOBODY,
        f"other has the highest value, {mean_of(results[1])}, but nobody knows what it was trained on, so it does not "
        "count.",
    ]
    assert all("to_best" not in result["metrics"]["ndcg@10"] for result in results)


def test_to_be_validated_on_is_a_leak_on_the_test_alone() -> None:
    """Checkpoints are chosen on the validation part: that is what it is for."""
    given = (("one", WEAK, 0), ("other", STRONG, 7))
    for part in ("test", "validation"):
        said, _ = concluded(models(*given, part=part))
        assert ("chosen on what it is evaluated on" in said.leaks) == (part == "test")
        assert "Trained on what it is evaluated on: other: 7 of 60 cases" in said.leaks
        assert said.part.startswith(f"On the {part} part") and said.sentences[-1] == said.part


def test_each_model_has_its_difference_to_the_best_that_counts_with_an_interval() -> None:
    evaluations = models(("reference", WEAK, 0), ("best", 6, 0), ("leaking", STRONG, 60))
    summary = summarise(evaluations, [10], 0)
    turned = summarise([evaluations[1], *evaluations[::2]], [10], 0)
    assert summary["best"]["history"] == "best/best"
    for masking, best in summary["best"].items():
        found = {r["run"]: r["metrics"]["ndcg@10"] for r in summary["results"] if r["masking"] == masking}
        against = {r["run"]: r["metrics"]["ndcg@10"] for r in turned["results"] if r["masking"] == masking}
        assert best == "best/best" and "to_best" not in found["best"]
        for run in ("reference", "leaking"):
            to_best, expected = found[run]["to_best"], against[run]["difference"]
            assert {name: to_best[name] for name in ("mean", "low", "high", "about")} == pytest.approx(
                {name: expected[name] for name in ("mean", "low", "high", "about")}
            )
            assert (to_best["of"], to_best["family"]) == ("best/best", "exploratory")
        comparisons = {entry["difference"]["comparisons"] for entry in found.values() if "difference" in entry}
        assert comparisons == {2}, "they are no part of the family that is tested"


@pytest.mark.parametrize("kind", ["table", "markdown", "latex"])
def test_a_table_has_the_differences_to_the_best_and_says_that_they_are_exploratory(kind: Any) -> None:
    evaluations = models(("reference", WEAK, 0), ("best", STRONG, 0))
    comparison = comparison_of({one.model: one for one in evaluations}, evaluations[0].model)
    said = render(comparison, [10], kind, "history")
    assert "ndcg@10 to the best" in said
    assert "differences to the best model that counts are exploratory: the same data chose it" in said
