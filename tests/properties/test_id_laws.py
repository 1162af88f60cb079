"""Ids are names: whatever they are, splits, figures and recommendations are those of whole numbers in the same order."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.ranks import MASKINGS
from recformer.recommend.side_by_side import Query, advise
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.builders import sequences, write_lines
from tests.effort import examples
from tests.training_helpers import save_untrained

ROWS = sequences(num_users=12, num_items=16, shortest=6, longest=12)
USERS, ITEMS = sorted({row[0] for row in ROWS}), sorted({row[1] for row in ROWS})
characters = st.characters(codec="utf-8", exclude_categories=["Cc"])
texts = st.one_of(
    st.text(characters, min_size=1, max_size=6).filter(lambda text: text.strip() != ""),
    st.integers(2**63, 2**70).map(str),
    st.integers(0, 99).map("{:05}".format),
)


def ids(count: int) -> st.SearchStrategy[list[str]]:
    """Different ids in the order of their bytes, of which one is no number as Python writes it."""
    some = st.lists(texts, min_size=count - 1, max_size=count - 1, unique=True).filter(lambda found: "007" not in found)
    return some.map(lambda found: sorted([*found, "007"], key=str.encode))


def written(folder: Path, users: list[Any], items: list[Any]) -> Dataset:
    """ROWS with the nth user and item called by the nth of `users` and `items`."""
    names = dict(zip(USERS, users, strict=True)), dict(zip(ITEMS, items, strict=True))
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    lines = [f"{names[0][user]}\t{names[1][item]}\t{rating}\t{time}" for user, item, rating, time in ROWS]
    write_lines(folder / "any.inter", [header, *lines])
    return read_dataset(folder)


@settings(max_examples=examples(30))
@given(ids(len(USERS)), ids(len(ITEMS)), st.sampled_from(["leave_last_out", "global_temporal", "random_windows"]))
def test_splits_are_those_of_numbers(users: list[str], items: list[str], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers, any_ids = written(Path(folder) / "numbers", USERS, ITEMS), written(Path(folder) / "any", users, items)
    assert (any_ids.user_ids.tolist(), any_ids.item_ids.tolist()) == (users, items)
    assert any_ids.items.tolist() == numbers.items.tolist()
    one, other = (prepare(dataset, split_of(name)).split for dataset in (numbers, any_ids))
    for part in ("validation", "test"):
        assert np.array_equal(one.cases(part).ends, other.cases(part).ends)
    assert np.array_equal(one.trained, other.trained)


@settings(max_examples=examples(6), deadline=None)
@given(ids(len(USERS)), ids(len(ITEMS)))
def test_figures_of_baselines_and_recommendations_are_those_of_numbers(users: list[str], items: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        numbers, any_ids = written(root.data / "numbers", USERS, ITEMS), written(root.data / "any", users, items)
        for name in ("baseline:popularity", "baseline:markov", "baseline:item_knn"):
            found = [
                evaluate(root, find_model(root, name), Task(dataset, split_of("leave_last_out"), "test")).ranks
                for dataset in (numbers, any_ids)
            ]
            for masking in MASKINGS:
                assert np.array_equal(found[0].rank(masking), found[1].rank(masking))
                assert np.array_equal(found[0].top(masking), found[1].top(masking))
        advice = [
            advise(root, [save_untrained(root, f"run-{place}", dataset)], dataset, Query(user, 8, "history"))
            for place, (dataset, user) in enumerate(((numbers, USERS[3]), (any_ids, users[3])))
        ]
    names = dict(zip(ITEMS, items, strict=True))
    for one, other in zip(advice[0]["models"][0]["items"], advice[1]["models"][0]["items"], strict=True):
        assert (names[one["item_id"]], one["score"], one["hit"]) == (other["item_id"], other["score"], other["hit"])
    assert [names[item] for item in advice[0]["window"]] == advice[1]["window"]


@pytest.mark.parametrize("way", ["hash", "as_set"])
def test_ties_are_broken_for_ids_of_any_kind_and_not_by_the_order_of_lines(way: str, tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\ttimestamp:float"
    lines = [f"{user}\t{item}\t{1_000_000_000 + item % 4}" for user in ("zoë", "an") for item in range(10, 30)]
    write_lines(tmp_path / "one" / "any.inter", [header, *lines])
    write_lines(tmp_path / "other" / "any.inter", [header, *lines[::-1]])
    one, other = (
        prepare(read_dataset(tmp_path / name), split_of("leave_last_out", way)).dataset for name in ("one", "other")
    )
    assert one.items.tolist() == other.items.tolist() != read_dataset(tmp_path / "one").items.tolist()
