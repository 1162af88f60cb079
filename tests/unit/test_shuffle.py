"""The shuffle test: what is moved, what stays, and what it finds where order says all or nothing."""

import random
from pathlib import Path

import numpy as np

from recformer.config import parse_section
from recformer.data.prepared import Prepared, prepare
from recformer.evaluation.evaluate import Task, shuffle_test, split_of
from recformer.evaluation.shuffle_test import ShuffleTest, of_dataset, shuffled
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import save_untrained


def prepared_of(histories: list[list[int]], num_items: int) -> Prepared:
    return prepare(dataset_of(histories, num_items), parse_section("split", "leave_last_out"))


def test_items_before_the_first_held_out_case_move_within_their_user_and_all_else_stays() -> None:
    data = prepared_of([[*range(12)], [*range(11, -1, -1)]], 12)
    mixed = shuffled(data).histories
    for user in range(2):
        start, end = data.histories.user_starts[user : user + 2]
        before, after = data.histories.tokens[start:end], mixed.tokens[start:end]
        assert after[0] == before[0] and after[-3:].tolist() == before[-3:].tolist()  # SOS; both targets and EOS
        assert sorted(after) == sorted(before) and after.tolist() != before.tolist()
    assert mixed.tokens.tolist() == shuffled(data).histories.tokens.tolist()


def test_only_the_latest_move_where_a_model_reads_only_them() -> None:
    data = prepared_of([[*range(30)]], 30)
    mixed = shuffled(data, ["test"], latest=6).histories.tokens
    moved = np.flatnonzero(mixed != data.histories.tokens)
    end = data.split.test.ends[0]
    assert len(moved) and moved.min() >= end - 6 and moved.max() < end
    assert sorted(mixed) == sorted(data.histories.tokens)


def test_where_order_says_all_it_is_lost_and_where_it_says_nothing_it_is_not() -> None:
    draw = random.Random(0)
    rounds = [[(begin + step) % 60 for step in range(25)] for begin in [draw.randrange(60) for _ in range(150)]]
    assert of_dataset(prepared_of(rounds, 60)).loss > 0.25  # which items are near one another is left
    bags = [draw.sample(range(60), 25) for _ in range(150)]
    assert abs(of_dataset(prepared_of(bags, 60)).shuffled - of_dataset(prepared_of(bags, 60)).ordered) < 0.05


def test_a_model_is_asked_about_what_it_reads_in_another_order(tmp_path: Path) -> None:
    root, dataset = Root(tmp_path / "root"), dataset_in(tmp_path / "small")
    save_untrained(root, "run", dataset)
    found = shuffle_test(root, find_model(root, "run"), Task(dataset, split_of("leave_last_out")))
    assert 0 <= found.shuffled <= 1 and 0 <= found.ordered <= 1
    change = round(-100 * found.loss)
    assert (f"({change:+d}%)" if change else "(no change)") in str(found)


def test_a_share_that_rounds_to_nothing_is_no_change() -> None:
    assert str(ShuffleTest(0.1, 0.1001)).endswith("(no change)") and str(ShuffleTest(0.1, 0.0999)).endswith(
        "(no change)"
    )
    assert str(ShuffleTest(0.1, 0.05)).endswith("(-50%)")
