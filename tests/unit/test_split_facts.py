"""What a split says of itself before any model: ties, the future, strangers; by hand and on ML-100K."""

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.data.assemble import read_dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.errors import DataError
from recformer.evaluation.split_facts import SplitFacts, split_facts
from recformer.registry import SPLITS
from tests.builders import dataset_of
from tests.effort import examples
from tests.training_helpers import run_here

A, B, C, D, E = range(5)


def test_leave_last_out_by_hand() -> None:
    histories = [[A, B, C, D], [B, A, D, C], [A, C, B, E]]
    times = [0, 1, 2, 3, 10, 3610, 3610, 3610, 5000, 5000, 5001, 8601]
    data = prepare(dataset_of(histories, 5, times), parse_section("split", "leave_last_out"))
    # Trained on at 0 1, 10 3610, 5000 5000: of these 4 lie after the target at 3, 2 after 3610, none after 8601.
    assert split_facts(data, "test") == SplitFacts(
        tied_targets=pytest.approx(1 / 3),  # the second user's
        later_training=pytest.approx((4 / 6 + 2 / 6) / 3),
        users_within_an_hour=pytest.approx(2 / 3),  # the second took exactly an hour, the third a second more
        cold_users=0.0,
        cold_items=pytest.approx(2 / 3),  # d and e; the third user had c in training
        times_are_real=False,  # of 1970
    )
    # Validated on c at 2, d at 3610, b at 5001.
    assert split_facts(data, "validation") == SplitFacts(
        tied_targets=pytest.approx(1 / 3),
        later_training=pytest.approx((4 / 6 + 2 / 6) / 3),
        users_within_an_hour=pytest.approx(2 / 3),
        cold_users=0.0,
        cold_items=pytest.approx(1 / 3),
        times_are_real=False,
    )


def test_under_one_cut_in_time_nothing_is_later_and_users_are_cold_who_came_after_it() -> None:
    data = prepare(
        dataset_of([[A, B, C, D, A, B], [A, B, C, E]], 5, [0, 1, 2, 3, 4, 7, 5, 6, 8, 9]),
        parse_section("split", {"name": "global_temporal", "test_fraction": 0.3, "validation_fraction": 0.2}),
    )
    found = split_facts(data, "test")  # the first user's b at 7, the second's c and e
    assert (found.cold_users, found.later_training, found.tied_targets) == (0.5, 0.0, 0.0)
    assert found.cold_items == pytest.approx(1 / 3)
    assert split_facts(data, "validation").cold_users == 1.0


def test_a_user_without_interactions_took_no_time_at_all() -> None:
    data = prepare(
        dataset_of([[A, B, C], [], [A, B, C]], 3, [0, 1, 2, 0, 1, 9999]), parse_section("split", "leave_last_out")
    )
    assert split_facts(data, "test").users_within_an_hour == 0.5


def plain_facts(data: Prepared, part: Part) -> tuple[float, ...]:
    """The definitions, written out slowly, of cases with one target."""
    dataset, histories = data.dataset, data.histories

    def rows(cases_of: Part) -> list[tuple[int, int, int]]:
        """User, item and time of each target that is an item."""
        found: list[tuple[int, int, int]] = []
        cases = data.split.cases(cases_of)
        for user, end in zip(cases.users.tolist(), cases.ends.tolist(), strict=True):
            place = end - int(histories.user_starts[user]) - 1
            if place < len(dataset.history(user)):
                row = int(dataset.offsets[user]) + place
                found.append((user, int(dataset.items[row]), int(dataset.timestamps[row])))
        return found

    trained, wanted = rows("train"), rows(part)
    own_times = [
        dataset.timestamps[dataset.offsets[user] : dataset.offsets[user + 1]] for user in range(dataset.num_users)
    ]
    ties = [np.count_nonzero(own_times[user] == time) > 1 for user, _, time in wanted]
    later = [np.mean([other > time for *_, other in trained]) for *_, time in wanted]
    spans = [times[-1] - times[0] <= 3600 for times in own_times if len(times)]
    warm_users, warm_items = {user for user, *_ in trained}, {item for _, item, _ in trained}
    cold = [user not in warm_users for user in {user for user, *_ in wanted}]
    return tuple(
        float(np.mean(shares)) for shares in (ties, later, spans, cold, [i not in warm_items for _, i, _ in wanted])
    )


@settings(max_examples=examples(60))
@given(seed=st.integers(0, 10_000), split=st.sampled_from(SPLITS.names()), part=st.sampled_from(["validation", "test"]))
def test_facts_are_what_their_definitions_say(seed: int, split: str, part: Part) -> None:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, 14, size=9)
    histories = [draw.integers(0, 12, size=n).tolist() for n in lengths]
    times = [time for n in lengths for time in sorted(draw.integers(0, draw.choice([8, 9000]), size=n).tolist())]
    options = {"name": split, "size": 2} if split == "random_windows" else split
    try:
        data = prepare(dataset_of(histories, 12, times), parse_section("split", options))
    except DataError:
        assume(False)
        raise
    cases = data.split.cases(part)
    # Where users of the part have no case but EOS, which is at no time, there is nothing to tell.
    assume((data.histories.targets(cases) != data.histories.eos).any())
    assume((data.histories.targets(data.split.train) != data.histories.eos).any())
    if split == "random_windows":
        # EOS makes nobody warm in this reading; a user who is trained on EOS alone is one in a thousand.
        trained = data.split.train.users[data.histories.targets(data.split.train) != data.histories.eos]
        assume(set(trained.tolist()) == set(data.split.train.users.tolist()))
    assert astuple(split_facts(data, part))[:5] == pytest.approx(plain_facts(data, part))


def test_ml_100k_is_tied_full_of_the_future_and_cold_under_one_cut(tmp_path: Path) -> None:
    fetched = run_here(tmp_path, "data", "fetch", "ml-100k")
    assert fetched.returncode == 0, fetched.stderr
    dataset = read_dataset(tmp_path / "data" / "ml-100k")
    last = split_facts(prepare(dataset, parse_section("split", "leave_last_out")), "test")
    assert last.tied_targets == pytest.approx(0.440, abs=5e-4)
    assert last.later_training == pytest.approx(0.413, abs=5e-4)
    assert last.users_within_an_hour == pytest.approx(0.528, abs=5e-4)
    assert (last.cold_users, last.cold_items) == (0.0, pytest.approx(0.003, abs=5e-4))
    cut = split_facts(prepare(dataset, parse_section("split", "global_temporal")), "test")
    assert cut.cold_users == pytest.approx(97 / 166)
    assert (cut.is_cold, last.is_cold, cut.times_are_real) == (True, False, True)
    assert cut.later_training == 0.0
