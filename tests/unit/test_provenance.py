"""What weights have seen: by themselves, and by every checkpoint that they began with, however far back."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import write_best
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.data.split.base import Part
from recformer.errors import CheckpointError
from recformer.evaluation.cases import Known, known_cases
from recformer.evaluation.compare import configs_of, seed_groups
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.store import store_key_of, stored_protocols
from recformer.evaluation.table import summarise
from recformer.run.model_ref import find_model
from recformer.run.overview import list_runs
from recformer.run.paths import Root
from recformer.run.record import read_record, write_record
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import save_untrained, small_config, train_here

LEAKING: dict[str, Any] = {"name": "random_windows", "size": 5}
UNKNOWN = Known(None, None)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(root: Root) -> Dataset:
    return dataset_in(root.data / "small")


def known(root: Root, run: str, dataset: Dataset, split: str = "leave_last_out", part: Part = "test") -> Known:
    return evaluate(root, find_model(root, run), Task(dataset, split_of(split), part)).known


def last_items(dataset: Dataset, part: Part, *splits: dict[str, Any]) -> int:
    """How many users' last item, the test case of leave_last_out, is a target of this part of any of the splits."""
    found: set[int] = set()
    for split in splits:
        prepared = prepare(dataset, parse_section("split", split))
        found |= set(prepared.split.cases(part).ends.tolist())
    return sum(int(start) - 2 in found for start in prepared.histories.user_starts[1:])


def rewritten(root: Root, run: str, **changes: Any) -> CheckpointInfo:
    """The best checkpoint of a run with another record."""
    model, info = load(find_model(root, run).path)
    write_best(root.model(run), model, replace(info, **changes))
    return info


def gone(root: Root, run: str) -> None:
    shutil.rmtree(root.run(run))
    shutil.rmtree(root.model(run))


def begun_with(root: Root, dataset: Dataset, *chain: tuple[str, Any]) -> None:
    """Runs of one epoch, each begun with the best checkpoint of the one before."""
    before: str | None = None
    for run, split in chain:
        train_here(root, run, dataset, small_config(split=split), init_from=before)
        before = f"{run}/best"


def test_what_a_run_began_with_it_has_seen(root: Root, dataset: Dataset) -> None:
    begun_with(root, dataset, ("leaking", LEAKING), ("honest", "leave_last_out"))
    expected = Known(last_items(dataset, "train", LEAKING), last_items(dataset, "validation", LEAKING))
    assert expected.trained_on and expected.validated_on
    assert known(root, "leaking", dataset) == known(root, "honest", dataset) == expected
    assert not expected.nothing
    alone = known(root, train_alone(root, dataset), dataset)
    assert alone == Known(0, 0) and alone.nothing


def train_alone(root: Root, dataset: Dataset) -> str:
    train_here(root, "alone", dataset, small_config(split="leave_last_out"))
    return "alone"


def test_summary_and_store_say_what_was_seen(root: Root, dataset: Dataset) -> None:
    begun_with(root, dataset, ("leaking", LEAKING), ("honest", "leave_last_out"))
    model = find_model(root, "honest")
    found = evaluate(root, model, Task(dataset, split_of("leave_last_out")))
    result = summarise([found], [10])["results"][0]
    assert (result["trained_on"], result["validated_on"]) == (found.known.trained_on, found.known.validated_on)
    store_key = store_key_of(root, model)
    assert store_key is not None
    assert (found.protocol, found.known) in stored_protocols(store_key)


def test_all_ancestors_count_once_across_splits_and_their_seeds(root: Root, dataset: Dataset) -> None:
    other = LEAKING | {"split_seed": 5}
    begun_with(root, dataset, ("first", LEAKING), ("second", other), ("third", "leave_last_out"))
    found = known(root, "third", dataset)
    assert found.trained_on == last_items(dataset, "train", LEAKING, other)
    assert found.validated_on == last_items(dataset, "validation", LEAKING, other)
    assert found.trained_on > last_items(dataset, "train", LEAKING)
    info = read_info(find_model(root, "third").path)
    assert info.ancestors is not None
    assert [entry["split"].get("split_seed") for entry in info.ancestors] == [5, 0]


def test_what_is_validated_on_is_counted_on_the_validation_part_too(root: Root, dataset: Dataset) -> None:
    found = known(root, train_alone(root, dataset), dataset, part="validation")
    assert found == Known(0, dataset.num_users)


@pytest.mark.parametrize("generations", [1, 2])
def test_of_what_began_with_an_imported_file_nobody_knows(root: Root, dataset: Dataset, generations: int) -> None:
    save_untrained(root, "imported", dataset, split=None)
    before = "imported/best"
    for number in range(generations):
        train_here(root, f"run-{number}", dataset, small_config(), init_from=before)
        before = f"run-{number}/best"
    assert known(root, before, dataset) == UNKNOWN


def test_another_run_that_takes_the_name_of_an_unknown_ancestor_says_nothing_of_it(
    root: Root, dataset: Dataset
) -> None:
    save_untrained(root, "parent", dataset, split=None)
    train_here(root, "run", dataset, small_config(), init_from="parent/best")
    shutil.rmtree(root.model("parent"))
    train_here(root, "parent", dataset, small_config())
    assert known(root, "parent", dataset) == Known(0, 0)
    assert known(root, "run", dataset) == UNKNOWN
    train_here(root, "run", dataset, small_config(num_epochs=2), resume=True)
    assert known(root, "run/last", dataset) == UNKNOWN


def test_ancestors_survive_the_parent_and_a_resume(root: Root, dataset: Dataset) -> None:
    begun_with(root, dataset, ("leaking", LEAKING), ("honest", "leave_last_out"))
    before = known(root, "honest", dataset)
    gone(root, "leaking")
    assert known(root, "honest", dataset) == before
    train_here(root, "honest", dataset, small_config(num_epochs=3, split="leave_last_out"), resume=True)
    for name in ("best", "last"):
        info = read_info(find_model(root, f"honest/{name}").path)
        assert info.ancestors is not None and [entry["split"]["name"] for entry in info.ancestors] == ["random_windows"]
        assert known(root, f"honest/{name}", dataset) == before


def test_of_a_checkpoint_of_before_whose_parent_is_gone_nobody_knows(root: Root, dataset: Dataset) -> None:
    begun_with(root, dataset, ("leaking", LEAKING), ("honest", "leave_last_out"))
    rewritten(root, "honest", ancestors=None)
    assert known(root, "honest", dataset).trained_on
    gone(root, "leaking")
    assert known(root, "honest", dataset) == UNKNOWN


def test_a_checkpoint_of_before_follows_the_records_of_its_run_and_of_those_before(
    root: Root, dataset: Dataset
) -> None:
    other = LEAKING | {"split_seed": 5}
    begun_with(root, dataset, ("first", LEAKING), ("second", other), ("third", "leave_last_out"))
    now = known(root, "third", dataset)
    for run in ("first", "second", "third"):
        assert rewritten(root, run, ancestors=None).ancestors is not None
    assert known(root, "third", dataset) == now
    assert known(root, "first", dataset) == Known(
        last_items(dataset, "train", LEAKING), last_items(dataset, "validation", LEAKING)
    )


def test_a_checkpoint_of_before_whose_run_began_afresh_has_seen_its_own_split_alone(
    root: Root, dataset: Dataset
) -> None:
    rewritten(root, train_alone(root, dataset), ancestors=None)
    assert known(root, "alone", dataset) == Known(0, 0)


def test_a_checkpoint_of_before_without_a_record_of_its_run_is_unknown(root: Root, dataset: Dataset) -> None:
    rewritten(root, train_alone(root, dataset), ancestors=None)
    shutil.rmtree(root.run("alone"))
    assert known(root, "alone", dataset) == UNKNOWN


def test_records_in_a_circle_are_unknown(root: Root, dataset: Dataset) -> None:
    rewritten(root, train_alone(root, dataset), ancestors=None)
    record = read_record(root.run("alone"))
    assert record is not None
    write_record(root, "alone", record.model_copy(update={"init_from": "alone/best"}))
    assert known(root, "alone", dataset) == UNKNOWN


def test_whether_the_cases_of_another_dataset_are_among_these_nobody_knows(root: Root, dataset: Dataset) -> None:
    save_untrained(root, "run", dataset)
    elsewhere = {"fingerprint": "f" * 16, "split": {"name": "leave_last_out"}}
    rewritten(root, "run", ancestors=[elsewhere])
    assert known(root, "run", dataset) == UNKNOWN


def test_a_damaged_split_of_an_ancestor_is_an_error_that_says_so(root: Root, dataset: Dataset) -> None:
    save_untrained(root, "run", dataset)
    own = {"fingerprint": dataset.fingerprint, "split": {"name": "leave_last_out", "of": "nothing"}}
    rewritten(root, "run", ancestors=[own])
    with pytest.raises(CheckpointError, match="split in the checkpoint's record is damaged"):
        known(root, "run", dataset)


def test_windows_of_before_are_as_large_as_the_models(root: Root, dataset: Dataset) -> None:
    """Records of before do not say how large the windows were that random_windows drew."""
    save_untrained(root, "run", dataset, window=3)
    rewritten(root, "run", split={"name": "random_windows"})
    drawn = LEAKING | {"size": 3}
    expected = Known(last_items(dataset, "train", drawn), last_items(dataset, "validation", drawn))
    assert known(root, "run", dataset) == expected
    assert expected.trained_on != last_items(dataset, "train", LEAKING)


def test_a_case_is_known_by_user_item_and_time_wherever_a_tie_put_it() -> None:
    """Users 0 and 1 have all but one item at one time: which of them is the last differs with the order of ties."""
    data = dataset_of([[0, 1, 2, 3], [3, 2, 1, 0]], 4, [1, 2, 2, 2, 1, 2, 2, 2])
    cases, trained = prepare(data, split_of("leave_last_out")), prepare(data, split_of("leave_last_out", "hash"))
    wanted = [(user, int(data.history(user)[-1])) for user in range(2)]

    def hits(part: Part) -> int:
        found = trained.split.cases(part)
        there = set(zip(found.users.tolist(), trained.histories.targets(found).tolist(), strict=True))
        return sum(entry in there for entry in wanted)

    assert known_cases(cases, "test", (trained,)) == Known(hits("train"), hits("validation"))
    assert known_cases(cases, "test", ()) == Known(0, 0)
    assert known_cases(cases, "test", (trained, cases)).trained_on == hits("train")
    assert np.array_equal(cases.split.test.users, [0, 1])


@pytest.mark.parametrize(
    "change", [{"engine": "another"}, {"commit": "another"}, {"init_from": "another/best"}], ids=str
)
def test_seeds_that_another_engine_or_commit_made_or_that_began_otherwise_are_not_joined(
    root: Root, dataset: Dataset, change: dict[str, str]
) -> None:
    for seed in (1, 2):
        train_here(root, f"seed-{seed}", dataset, small_config(seed=seed))
    models = [find_model(root, f"seed-{seed}") for seed in (1, 2)]
    configs = configs_of(list_runs(root)[0])
    assert configs["seed-1"]["engine"] in ("eager", "native")
    assert seed_groups(models, configs) == [models]
    rewritten(root, "seed-2", **change)
    assert seed_groups(models, configs_of(list_runs(root)[0])) == [models[:1], models[1:]]
