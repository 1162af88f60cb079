"""One rule for how sure a value is: what a table says of all users, the slice of all users says too."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recformer.evaluation.compare import comparison_of
from recformer.evaluation.report import render
from recformer.evaluation.slices import Slice, slice_intervals
from recformer.evaluation.table import Evaluation, summarise_view
from tests.evaluation_builders import evaluation_of, made_up_ranks

NAME = "ndcg@10"


def alike(rank: int, users: int, name: str = "run") -> Evaluation:
    """A model that gives every user's target the same rank."""
    ranks = made_up_ranks(0, np.arange(users))
    return evaluation_of(replace(ranks, rank_none=np.full(users, rank, dtype=np.int32)), name)


def in_table(*models: Evaluation, margin: float | None = None) -> list[dict[str, Any]]:
    comparison = comparison_of({one.model: one for one in models}, models[0].model)
    question = replace(comparison.question, margin=margin)
    return [one["metrics"][NAME] for one in summarise_view(models, "none", [NAME], 0, question)]


@pytest.mark.parametrize("rank", [1, 3, 11])
@pytest.mark.parametrize("users", [1, 2, 30, 943])
def test_of_values_that_are_all_alike_table_and_slice_say_the_same(rank: int, users: int) -> None:
    model = alike(rank, users)
    (figure,), everyone = in_table(model), Slice("all", "all", np.ones(users, dtype=bool))
    ((cell,),) = slice_intervals([everyone], [model], NAME, "none")
    assert {end: figure[end] for end in ("low", "high")} == {end: cell[end] for end in ("low", "high")}
    assert (figure["low"] is None) == (users == 1)
    if users > 1:
        assert 0 <= figure["low"] <= figure["mean"] <= figure["high"] <= 1
        assert figure["high"] - figure["low"] > 0.5 / users


def test_two_users_who_do_not_differ_make_no_two_models_equivalent() -> None:
    few, many = (in_table(alike(5, users, "a"), alike(5, users, "b"), margin=0.01)[1] for users in (2, 943))
    assert (few["difference"]["equivalent"], many["difference"]["equivalent"]) == (False, True)
    assert few["difference"]["high"] > 0.5


@pytest.mark.parametrize("kind", ["table", "markdown", "latex"])
def test_a_single_user_can_show_nothing_and_every_format_says_so(kind: Any) -> None:
    models = [alike(1, 1, "a"), alike(11, 1, "b")]
    comparison = comparison_of({one.model: one for one in models}, models[0].model)
    text = render(comparison, [10], kind, "none", metrics="ndcg")
    assert "A single user can show nothing" in text
    assert "1 user: no interval" in text
    assert "nan" not in text and "None" not in text
    summary = json.loads(render(comparison, [10], "json", "none"))
    assert "A single user can show nothing" in " ".join(summary["conclusion"]["sentences"])
    assert {result["metrics"][NAME]["low"] for result in summary["results"]} == {None}


def test_one_case_is_no_cases() -> None:
    models = [alike(1, 1, "a"), replace(alike(11, 1, "b"), known=replace(alike(1, 1).known, trained_on=1))]
    comparison = comparison_of({one.model: one for one in models}, models[0].model)
    said = comparison.answer(comparison.results("none", [NAME])).leaks
    assert "b: 1 of 1 case." in said


@pytest.mark.parametrize("users", [3, 30, 943])
@pytest.mark.parametrize("name", ["ndcg@10", "hr@10", "mrr@5"])
def test_table_and_slice_have_one_interval_of_the_same_cases(users: int, name: str) -> None:
    evaluation = evaluation_of(made_up_ranks(1, users=np.repeat(np.arange(users), 2)))
    metric = summarise_view([evaluation], "history", [name])[0]["metrics"][name]
    everybody = Slice("all", "all", np.ones(2 * users, dtype=np.bool_))
    ((cell,),) = slice_intervals([everybody], [evaluation], name, "history")
    assert {end: cell[end] for end in ("mean", "low", "high")} == pytest.approx(
        {end: metric[end] for end in ("mean", "low", "high")}
    )
    assert 0 <= metric["low"] <= metric["mean"] < metric["high"] <= 1
