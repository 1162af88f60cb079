"""Evaluating checkpoints: what is computed, what is kept, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import read_state
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import CheckpointError, DataError, EvaluationError, UsageError
from recformer.evaluation import ranker
from recformer.evaluation.cases import Known
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.store import models_tested, store_key_of, stored_ranks
from recformer.evaluation.table import (
    Evaluation,
    case_values,
    catalogue_names,
    checked_cutoffs,
    metric_names,
    summarise,
)
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from tests.builders import dataset_in, sequences
from tests.training_helpers import save_untrained


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


@pytest.fixture
def rankings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a model was asked, and for how many cases."""
    asked: list[int] = []
    rank_cases = ranker.rank_cases

    def counting(model: Any, prepared: Any, cases: Any, *others: Any) -> Any:
        asked.append(len(cases))
        return rank_cases(model, prepared, cases, *others)

    monkeypatch.setattr(ranker, "rank_cases", counting)
    return asked


def section(name: str, **options: Any) -> Any:
    return parse_section("split", {"name": name} | options)


def stored_file(root: Root, run_id: str = "run") -> Path:
    (path,) = (root.run(run_id) / "eval").glob("*.parquet")
    return path


def assert_equal(one: Evaluation, other: Evaluation) -> None:
    assert one.protocol == other.protocol
    for name, value in one.ranks.arrays().items():
        np.testing.assert_array_equal(value, getattr(other.ranks, name), err_msg=name)
        assert value.dtype == getattr(other.ranks, name).dtype, name


def test_every_user_is_one_case_of_the_split_of(root: Root, dataset: Dataset) -> None:
    found = evaluate(root, save_untrained(root, "run", dataset), Task(dataset, split_of("leave_last_out"), "test"))
    assert found.ranks.user.tolist() == list(range(30))
    assert found.ranks.target.tolist() == [dataset.history(user)[-1] for user in range(30)]
    assert (found.protocol.cases, found.protocol.item_set, found.protocol.part) == (30, "items", "test")
    assert (found.model.run, found.model.checkpoint) == ("run", "best")


def test_a_second_evaluation_does_not_ask_the_model(root: Root, dataset: Dataset, rankings: list[int]) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    first = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    again = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    assert rankings == [30]
    assert_equal(first, again)


def test_another_protocol_is_another_entry(root: Root, dataset: Dataset, rankings: list[int]) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    splits = [split_of("leave_last_out"), section("random_windows"), section("random_windows", split_seed=1)]
    for _ in range(2):
        for split in splits:
            evaluate(root, checkpoint, Task(dataset, split))
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), "test"))
    assert len(rankings) == 4
    assert len(list((root.run("run") / "eval").glob("*.parquet"))) == 4


def test_the_entry_says_its_protocol_and_checkpoint_without_torch(root: Root, dataset: Dataset) -> None:
    found = evaluate(root, save_untrained(root, "run", dataset), Task(dataset, split_of("leave_last_out")))
    record = json.loads(stored_file(root).with_suffix(".json").read_text())
    assert record["protocol"] == found.protocol.as_dict()
    assert record["protocol"]["split"] == {"name": "leave_last_out"}


def test_a_checkpoint_that_changed_is_evaluated_again(root: Root, dataset: Dataset, rankings: list[int]) -> None:
    checkpoint = save_untrained(root, "run", dataset, seed=0)
    old = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    save_untrained(root, "run", dataset, seed=1)
    new = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    assert rankings == [30, 30]
    assert old.ranks.rank_none.tolist() != new.ranks.rank_none.tolist()
    assert_equal(new, evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_bytes(b"this is no parquet file")


def drop_half_of_the_rows(path: Path) -> None:
    frame = pd.read_parquet(path)
    frame.iloc[:15].to_parquet(path)


def drop_a_column(path: Path) -> None:
    pd.read_parquet(path).drop(columns="rank_history").to_parquet(path)


def damage_the_record(path: Path) -> None:
    path.with_suffix(".json").write_text('{"format": 1, "check')


def lose_the_record(path: Path) -> None:
    path.with_suffix(".json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        empty,
        replace_by_text,
        drop_half_of_the_rows,
        drop_a_column,
        damage_the_record,
        lose_the_record,
    ],
)
def test_damaged_entries_are_computed_again(root: Root, dataset: Dataset, rankings: list[int], damage: Any) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    first = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    damage(stored_file(root))
    assert_equal(first, evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))))
    assert_equal(first, evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))))
    assert rankings == [30, 30]


def test_no_flipped_bit_of_an_entry_passes_for_ranks(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    first = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    path, store_key = stored_file(root), store_key_of(root, checkpoint)
    assert store_key is not None
    content = path.read_bytes()
    for place in range(0, len(content), 29):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        found = stored_ranks(store_key, first.protocol)
        if found is not None:  # a bit that says nothing about the ranks, such as the writer's name
            assert_equal(first, replace(first, seeds=(found[0],)))


def test_a_file_outside_of_models_is_evaluated_but_not_kept(
    root: Root, dataset: Dataset, rankings: list[int], tmp_path: Path
) -> None:
    source = save_untrained(root, "run", dataset).path
    (tmp_path / "copy.safetensors").write_bytes(source.read_bytes())
    checkpoint = find_model(root, str(tmp_path / "copy.safetensors"))
    found = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    assert rankings == [30, 30]
    assert found.model.run == "copy"
    assert not root.runs.exists()


def test_a_disk_that_refuses_is_told_and_keeps_nothing(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    monkeypatch.setattr("os.fsync", refuse)
    assert "No space left" in evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))).not_kept
    monkeypatch.undo()
    assert list(root.run("run").rglob("*.parquet")) == []
    assert evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))).protocol.cases == 30


def refuse(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_what_was_trained_under_leave_last_out_was_not_trained_on_its_test_cases(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, split="leave_last_out")
    assert evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))).known.trained_on == 0


def test_what_was_trained_under_random_windows_was_trained_on_most_last_items(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, split="random_windows")
    found = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), "test"))
    training = prepare(dataset, section("random_windows"))
    last = training.histories.user_starts[1:] - 2
    assert found.known.trained_on == np.isin(last, training.split.train.ends).sum()
    assert 15 < found.known.trained_on <= 30


def test_its_own_test_windows_are_nobodys_training_cases(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, split="random_windows")
    assert evaluate(root, checkpoint, Task(dataset, section("random_windows"))).known.trained_on == 0
    assert evaluate(root, checkpoint, Task(dataset, section("random_windows", split_seed=5))).known.trained_on


def test_of_an_imported_checkpoint_nobody_knows_what_it_was_trained_on(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, split=None)
    found = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    assert found.known == Known(None, None)
    result = summarise([found], [10])["results"][0]
    assert (result["trained_on"], result["validated_on"]) == (None, None)


def test_a_dataset_of_another_size_is_refused_with_both_sizes(root: Root, dataset: Dataset, tmp_path: Path) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    other = dataset_in(tmp_path / "other", sequences(num_users=29))
    with pytest.raises(
        DataError, match=r"run/best knows 40 movies and 30 users, other has 40 and 29.*Use it with the dataset"
    ):
        evaluate(root, checkpoint, Task(other, split_of("leave_last_out")))


def test_a_dataset_of_equal_size_with_other_interactions_is_refused(
    root: Root, dataset: Dataset, tmp_path: Path
) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    other = dataset_in(tmp_path / "other", sequences(seed=1))
    assert (other.num_users, other.num_items) == (dataset.num_users, dataset.num_items)
    with pytest.raises(DataError, match=f"{dataset.fingerprint}.*{other.fingerprint}"):
        evaluate(root, checkpoint, Task(other, split_of("leave_last_out")))


def test_weights_that_are_not_numbers_are_an_evaluation_error(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    state = read_state(checkpoint.path)
    state["output_layer.fc_layers.0.bias"].fill_(float("nan"))
    save_file(state, checkpoint.path)
    with pytest.raises(EvaluationError, match="not numbers"):
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    assert not (root.run("run") / "eval").exists()


def test_a_record_that_is_not_there_or_damaged_is_a_checkpoint_error_or_told_from_the_shapes(
    root: Root, dataset: Dataset
) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    save_file(read_state(checkpoint.path), checkpoint.path)  # without the record within
    record = checkpoint.path.with_suffix(".json")
    for text in ('{"form', '{"format": 99}', "[]", '{"format": 1, "run_id": "run"}'):
        record.write_text(text)
        with pytest.raises(CheckpointError, match=r"best\.json"):
            evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))
    record.unlink()
    assert read_info(checkpoint.path).imported


def test_different_protocols_do_not_stand_in_one_table(root: Root, dataset: Dataset) -> None:
    one, other = (
        evaluate(root, save_untrained(root, "run", dataset), Task(dataset, split))
        for split in (split_of("leave_last_out"), section("random_windows"))
    )
    with pytest.raises(EvaluationError, match="split, cases, cases_fingerprint, item_set differ"):
        summarise([one, other], [10])


def test_what_a_model_reads_is_no_part_of_the_protocol(root: Root, dataset: Dataset) -> None:
    found = [
        evaluate(
            root, save_untrained(root, f"run-{size}", dataset, window=size), Task(dataset, split_of("leave_last_out"))
        )
        for size in (4, 5)
    ]
    assert len(summarise(found, [10])["results"]) == 6


def two(root: Root, dataset: Dataset) -> list[Evaluation]:
    checkpoints = [save_untrained(root, f"run-{seed}", dataset, seed=seed) for seed in (0, 1)]
    return [evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"))) for checkpoint in checkpoints]


def test_a_summary_has_every_model_under_every_masking_with_every_metric(root: Root, dataset: Dataset) -> None:
    summary = summarise(two(root, dataset), [3, 10])
    places = [(result["run"], result["masking"]) for result in summary["results"]]
    assert places == [(run, masking) for run in ("run-0", "run-1") for masking in ("none", "window", "history")]
    ranking = ("hr", "map", "mrr", "ndcg", "duplication/window", "duplication/history")
    lists = ("novelty", "popularity", "diversity/genre")
    names = {f"{name}@{k}" for name in (*ranking, *lists) for k in (3, 10)}
    whole = {f"{name}@{k}" for name in ("coverage", "gini") for k in (3, 10)}
    assert names == set(metric_names([3, 10], categories=["genre"]))
    assert whole == set(catalogue_names([3, 10]))
    for result in summary["results"]:
        assert set(result["metrics"]) == names
        assert set(result["catalogue"]) == whole
        assert all(0 <= entry["value"] <= 1 for entry in result["catalogue"].values())
        assert result["cases"] == 30
        assert result["seeds"] == 1
        for name, metric in result["metrics"].items():
            assert set(metric) == {"mean", "low", "high"}
            assert 0 <= metric["low"] <= metric["mean"] <= metric["high"]
            assert metric["high"] <= 1 or name.startswith("novelty")
    json.dumps(summary, allow_nan=False)


def test_a_summarys_means_are_those_of_the_ranks(root: Root, dataset: Dataset) -> None:
    found = two(root, dataset)
    for result in summarise(found, [5])["results"][:3]:
        ranks = found[0].ranks.rank(result["masking"]).astype(float)
        metrics = {name: metric["mean"] for name, metric in result["metrics"].items()}
        assert metrics["hr@5"] == pytest.approx(np.mean(ranks <= 5))
        assert metrics["mrr@5"] == pytest.approx(np.mean(np.where(ranks <= 5, 1 / ranks, 0)))
        assert metrics["map@5"] == metrics["mrr@5"]
        assert metrics["ndcg@5"] == pytest.approx(np.mean(np.where(ranks <= 5, 1 / np.log2(ranks + 1), 0)))
        repeats = found[0].ranks.repeats("window", result["masking"])[:, 4]
        assert metrics["duplication/window@5"] == pytest.approx(np.mean(repeats) / 5)


def test_the_difference_of_a_model_to_itself_is_exactly_zero_and_the_baseline_has_none(
    root: Root, dataset: Dataset
) -> None:
    one, other = two(root, dataset)
    summary = summarise([one, one, other], [10], baseline=0)
    first, same, different = (summary["results"][place] for place in (0, 3, 6))
    assert all("difference" not in metric for metric in first["metrics"].values())
    zero = {"mean": 0, "p": 1, "p_adjusted": 1, "effect_size": 0, "standard_error": 0, "detectable": None}
    names = metric_names([10], categories=["genre"])
    assert all(zero.items() <= same["metrics"][name]["difference"].items() for name in names)
    for name in names:  # of 30 users; novelty has no limits that others could lie within
        difference = same["metrics"][name]["difference"]
        reach = None if name.startswith("novelty") else pytest.approx(0.1135, abs=1e-3)
        assert difference["high"] == reach
        assert difference["low"] == (None if reach is None else -difference["high"])
    assert all(same["catalogue"][name]["difference"] == 0 for name in catalogue_names([10]))
    for name, metric in different["metrics"].items():
        expected = metric["mean"] - first["metrics"][name]["mean"]
        assert metric["difference"]["mean"] == pytest.approx(expected)


def test_the_values_of_a_case_are_in_the_order_of_the_names(root: Root, dataset: Dataset) -> None:
    found = two(root, dataset)[0]
    table = case_values(found, "none", metric_names([1, 20], categories=["genre"]))
    assert table.shape == (30, len(metric_names([1, 20], categories=["genre"])))
    hits = table[:, metric_names([1, 20], categories=["genre"]).index("hr@20")]
    assert hits.tolist() == (found.ranks.rank_none <= 20).tolist()


def test_nothing_to_summarise_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="nothing to summarise"):
        summarise([], [10])


@pytest.mark.parametrize("cutoffs", [[0], [21], [-1], [3, 50], []])
def test_cutoffs_outside_of_1_to_20_are_refused(cutoffs: list[int]) -> None:
    with pytest.raises(UsageError, match="from 1 to 20"):
        checked_cutoffs(cutoffs)


def test_cutoffs_are_sorted_and_distinct() -> None:
    assert checked_cutoffs([10, 1, 10, 20]) == [1, 10, 20]


def test_a_checkpoint_that_is_gone_is_a_checkpoint_error(root: Root, dataset: Dataset, tmp_path: Path) -> None:
    for suffix in (".pt", ".safetensors", ".pth"):
        gone = ModelRef("gone", None, tmp_path / f"gone{suffix}")
        with pytest.raises(CheckpointError, match="does not exist"):
            evaluate(root, gone, Task(dataset, split_of("leave_last_out")), torch.device("cpu"))


def test_each_state_of_a_checkpoint_that_is_evaluated_on_the_test_is_a_look_at_it(tmp_path: Path) -> None:
    root, dataset = Root(tmp_path / "root"), dataset_in(tmp_path / "small")
    for run_id in ("one", "other"):
        save_untrained(root, run_id, dataset)
    task = Task(dataset, split_of("leave_last_out"), "test")
    assert models_tested(root, dataset.fingerprint) == 0
    evaluate(root, find_model(root, "one"), Task(dataset, split_of("leave_last_out")))
    assert models_tested(root, dataset.fingerprint) == 0
    for _ in range(2):
        evaluate(root, find_model(root, "one"), task)
    assert models_tested(root, dataset.fingerprint) == 1
    evaluate(root, find_model(root, "other"), task)
    assert models_tested(root, dataset.fingerprint) == 2
    assert models_tested(root, "another") == 0
