"""A sample of users: which cases are kept, that it is the same for ever, and that what is trained on is not touched."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.data.prepared import prepare
from recformer.data.user_sample import UserSample, sampled
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.report import sample_in_words
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from tests.builders import dataset_of
from tests.effort import examples

DATASET = dataset_of([[user % 7, (user + 1) % 7, (user + 2) % 7, user % 3] for user in range(40)], 7)
DATA = prepare(DATASET, parse_section("split", "leave_last_out"))


@settings(max_examples=examples(50))
@given(count=st.integers(1, 50), more=st.integers(0, 20), seed=st.integers(0, 2**63 - 1))
def test_a_sample_has_as_many_users_as_asked_and_is_within_a_larger_one(count: int, more: int, seed: int) -> None:
    cases = DATA.split.test
    found = sampled(cases, DATASET, UserSample(count, seed))
    users = set(found.users.tolist())
    assert len(users) == min(count, 40)
    assert found.ends.tolist() == [end for user, end in zip(cases.users, cases.ends, strict=True) if user in users]
    assert users <= set(sampled(cases, DATASET, UserSample(count + more, seed)).users.tolist())
    assert sampled(cases, DATASET, UserSample(count, seed)).ends.tolist() == found.ends.tolist()


def test_another_seed_draws_other_users_and_no_sample_is_everybody() -> None:
    cases = DATA.split.test
    one, other = (set(sampled(cases, DATASET, UserSample(10, seed)).users.tolist()) for seed in (0, 1))
    assert one != other
    assert sampled(cases, DATASET, None) is cases


def test_each_user_is_drawn_about_as_often() -> None:
    drawn = np.zeros(40)
    for seed in range(400):
        drawn[sampled(DATA.split.test, DATASET, UserSample(10, seed)).users] += 1
    assert drawn.sum() == 4000
    assert drawn.min() > 60 and drawn.max() < 140  # 100 each, give or take 4.6 standard deviations


@pytest.mark.parametrize("name", ["popularity", "sequential_rules"])
def test_the_ranks_of_a_sample_are_those_of_everybody_and_their_protocol_is_another(name: str, tmp_path: Path) -> None:
    split = split_of("leave_last_out")
    everybody = evaluate(Root(tmp_path), ModelRef(name), Task(DATASET, split, "test"))
    some = evaluate(Root(tmp_path), ModelRef(name), Task(DATASET, split, "test", sample=UserSample(15, 3)))
    assert len(some.ranks) == some.protocol.cases == 15
    kept = np.isin(everybody.ranks.user, some.ranks.user)
    assert some.ranks.rank_history.tolist() == everybody.ranks.rank_history[kept].tolist()
    assert everybody.protocol.differing(some.protocol) == ["cases", "cases_fingerprint", "sample"]
    assert sample_in_words(some.protocol) == " · a sample of 15 users (seed 3)"
    assert sample_in_words(everybody.protocol) == ""
