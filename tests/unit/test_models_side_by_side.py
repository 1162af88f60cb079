"""Models that read windows of several sizes, on the same cases; and baselines as models with a store key of their
own."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.errors import DataError, EvaluationError, StoreError, UsageError
from recformer.evaluation import evaluate as module
from recformer.evaluation import store
from recformer.evaluation.cases import Known
from recformer.evaluation.compare import compare
from recformer.evaluation.evaluate import Pending, Task, evaluate, pending, pending_all, split_of
from recformer.evaluation.ranks import RECENT
from recformer.evaluation.report import render
from recformer.evaluation.table import Evaluation, summarise
from recformer.registry import BASELINES, SPLITS
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import save_untrained, small_config, train_here

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the baselines whose ranks were computed, one entry a time."""
    names: list[str] = []
    rank_baseline = module.rank_baseline

    def counting(name: str, *others: Any) -> Any:
        names.append(name)
        return rank_baseline(name, *others)

    monkeypatch.setattr(module, "rank_baseline", counting)
    return names


def of_windows(root: Root, dataset: Dataset, task: Task, *sizes: int) -> list[Evaluation]:
    """Untrained models that read the latest so many items."""
    return [evaluate(root, save_untrained(root, f"run-{size}", dataset, window=size), task) for size in sizes]


def compared(root: Root, task: Task, *names: str) -> list[Evaluation]:
    return compare(root, [find_model(root, name) for name in names], task, device=CPU).evaluations


def assert_same_ranks(one: Evaluation, other: Evaluation) -> None:
    for name, value in vars(one.ranks).items():
        np.testing.assert_array_equal(value, getattr(other.ranks, name), err_msg=name)


@pytest.mark.parametrize("sizes", [(4, 5), (7, 3), (50, 5), (3, 6, 4)])
def test_models_with_windows_of_several_sizes_stand_side_by_side_on_the_same_cases(
    root: Root, dataset: Dataset, sizes: tuple[int, ...]
) -> None:
    found = of_windows(root, dataset, Task(dataset, split_of("leave_last_out"), "test"), *sizes)
    for entry in found:
        assert entry.protocol == found[0].protocol
        assert entry.protocol.recent == RECENT
        assert entry.ranks.user.tolist() == list(range(dataset.num_users))
        assert entry.ranks.target.tolist() == [dataset.history(user)[-1] for user in range(dataset.num_users)]
        assert entry.facts.history_lengths.tolist() == found[0].facts.history_lengths.tolist()
    assert len(summarise(found, [10], baseline=0)["results"]) == 3 * len(sizes)


@pytest.mark.parametrize("split", SPLITS.names())
def test_a_model_with_a_window_of_50_leaves_out_nobody_who_has_three_interactions(root: Root, split: str) -> None:
    """Of these histories none has 50 items, and some have fewer than five."""
    lengths = [3, 4, 5, 6, 30, 2, 1, 12] * 4
    draw = np.random.default_rng(1)
    dataset = dataset_of([draw.permutation(40)[:n].tolist() for n in lengths], 40)
    long, short = of_windows(root, dataset, Task(dataset, parse_section("split", split)), 50, 5)
    assert long.protocol == short.protocol
    for field in ("user", "target"):
        assert getattr(long.ranks, field).tolist() == getattr(short.ranks, field).tolist()
    if split == "leave_last_out":
        assert long.ranks.user.tolist() == [user for user, n in enumerate(lengths) if n >= 3]
        assert long.protocol.skipped_users == 8
    compared_with = compare(
        root, [long.model, short.model, ModelRef("markov")], Task(dataset, split_of("leave_last_out"))
    )
    assert len({entry.protocol.key for entry in compared_with.evaluations}) == 1


def test_what_is_trained_on_padded_windows_of_50_is_compared_with_what_is_trained_on_windows_of_5(root: Root) -> None:
    """Nobody has 50 items: without padding nothing could be trained on."""
    draw = np.random.default_rng(1)
    dataset = dataset_of([draw.permutation(40)[:n].tolist() for n in [3, 4, 5, 6, 30, 2, 1, 12] * 4], 40)
    for run, changes in (("long", {"window": 50, "short_histories": "pad"}), ("short", {"window": 5})):
        train_here(root, run, dataset, small_config(engine="eager", **changes))
    models = [find_model(root, "long"), find_model(root, "short"), ModelRef("item_knn")]
    long, short, counted = compare(root, models, Task(dataset, split_of("leave_last_out")), device=CPU).evaluations
    assert long.protocol == short.protocol == counted.protocol
    assert (long.protocol.cases, long.protocol.skipped_users) == (24, 8)
    assert [entry.known.trained_on for entry in (long, short, counted)] == [0, 0, 0]
    assert long.ranks.user.tolist() == short.ranks.user.tolist() == counted.ranks.user.tolist()


def test_parts_do_not_stand_in_one_table_and_no_window_is_named_as_the_remedy(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    parts = [
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), part)) for part in ("test", "validation")
    ]
    with pytest.raises(EvaluationError, match="part") as caught:
        summarise(parts, [10])
    assert "--window" not in str(caught.value) and "--recent" not in str(caught.value)


@pytest.mark.parametrize("recent", [1, 5, 9, 100])
def test_models_with_windows_of_several_sizes_are_masked_by_the_protocols(
    root: Root, dataset: Dataset, recent: int
) -> None:
    short, long = of_windows(root, dataset, Task(dataset, split_of("leave_last_out"), "test", recent=recent), 3, 5)
    assert short.protocol == long.protocol
    assert short.protocol.recent == recent
    for entry in (short, long):
        for user, top in zip(entry.ranks.user, entry.ranks.top_window, strict=True):
            history = dataset.history(user)
            assert not set(top.tolist()) & (set(history[:-1][-recent:].tolist()) - {history[-1]})
    assert len(summarise([short, long], [10], baseline=0)["results"]) == 6


def test_more_recent_items_give_a_model_no_more_to_read_and_mask_more(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, window=3)
    few, more = (evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), recent=size)) for size in (3, 9))
    assert (few.protocol.recent, more.protocol.recent) == (3, 9)
    assert few.protocol.key != more.protocol.key
    assert few.ranks.rank_none.tolist() == more.ranks.rank_none.tolist()
    assert few.ranks.rank_history.tolist() == more.ranks.rank_history.tolist()
    assert (more.ranks.rank_window <= few.ranks.rank_window).all()
    assert (more.ranks.rank_window < few.ranks.rank_window).any()


def test_the_usual_number_said_in_words_is_the_same_protocol(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, window=4)
    tasks = (Task(dataset, split_of("leave_last_out")), Task(dataset, split_of("leave_last_out"), recent=5))
    unsaid, said = (evaluate(root, checkpoint, task) for task in tasks)
    assert unsaid.protocol == said.protocol


def test_results_with_other_numbers_of_recent_items_do_not_stand_in_one_table(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    found = [evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), recent=size)) for size in (4, 5)]
    with pytest.raises(EvaluationError, match="recent differ"):
        summarise(found, [10])


def as_before_cases_had_no_windows(store_key: store.StoreKey, evaluation: Evaluation) -> Path:
    """Ranks with a record as earlier versions wrote them: its protocol has a window, and no `recent`."""
    told = evaluation.protocol.as_dict()
    told["window"] = told.pop("recent")
    named = {name: value for name, value in told.items() if name not in ("time_tied", "time_ties")}
    key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
    new = store_key.path(evaluation.protocol)
    old = new.with_name(f"{store_key.name}-{key}.parquet")
    record = json.loads(new.with_suffix(".json").read_text())
    old.with_suffix(".json").write_text(json.dumps(record | {"protocol": told}))
    new.replace(old)
    new.with_suffix(".json").unlink()
    return old


@pytest.mark.parametrize("name", ["run", "baseline:markov"])
def test_ranks_stored_under_a_window_are_computed_again_and_never_taken(
    root: Root, dataset: Dataset, name: str, computed: list[str]
) -> None:
    save_untrained(root, "run", dataset)
    model, task = find_model(root, name), Task(dataset, split_of("leave_last_out"))
    first = evaluate(root, model, task)
    store_key = store.store_key_of(root, model)
    assert store_key is not None
    old = as_before_cases_had_no_windows(store_key, first)
    content = old.read_bytes()
    waiting = pending(root, model, task)
    assert waiting.stored() is None
    assert store.stored_protocols(store_key) == [], "of an old record nobody knows what it counts as recent"
    again = evaluate(root, model, task)
    assert_same_ranks(first, again)
    assert store.stored_protocols(store_key) == [(again.protocol, again.known)]
    assert old.read_bytes() == content
    assert waiting.stored() is not None
    assert computed == (["markov"] * 2 if model.is_baseline else [])


def test_of_several_models_the_one_that_cannot_be_evaluated_does_not_take_the_others_with_it(
    root: Root, dataset: Dataset
) -> None:
    save_untrained(root, "run-3", dataset, window=3)
    save_untrained(root, "run-5", dataset_of([range(9)] * 30, 9), window=5)
    gone = ModelRef.of_run(root, "gone")
    models = [find_model(root, "run-5"), find_model(root, "run-3"), gone, ModelRef("markov")]
    found = pending_all(root, models, Task(dataset, split_of("leave_last_out")))
    assert list(found) == models
    assert [type(entry) for entry in found.values()] == [DataError, Pending, StoreError, Pending]


def test_baselines_have_the_protocol_of_the_models_beside_them_and_the_same_alone(root: Root, dataset: Dataset) -> None:
    for size in (3, 6):
        save_untrained(root, f"run-{size}", dataset, window=size)
    counted, task = ModelRef("popularity"), Task(dataset, split_of("leave_last_out"))
    entries = pending_all(root, [counted, find_model(root, "run-3"), find_model(root, "run-6")], task)
    protocols = [entry.empty.protocol for entry in entries.values() if isinstance(entry, Pending)]
    assert len(protocols) == 3 and len({protocol.key for protocol in protocols}) == 1
    alone = pending_all(root, [counted], task)[counted]
    assert isinstance(alone, Pending)
    assert alone.empty.protocol == protocols[0]
    assert alone.empty.protocol.recent == RECENT == 5


@pytest.mark.parametrize("name", BASELINES.names())
def test_a_baseline_is_found_by_its_name(root: Root, name: str) -> None:
    found = find_model(root, f"baseline:{name}")
    assert found == ModelRef(name)
    assert found.is_baseline and str(found) == f"baseline:{name}"


@pytest.mark.parametrize("text", ["baseline:oracle", "baseline:", "baseline:Popularity", "baseline:../popularity"])
def test_a_baseline_that_there_is_not_is_refused_with_those_there_are(root: Root, text: str) -> None:
    with pytest.raises(UsageError, match="baseline:item_knn, baseline:markov, baseline:popularity") as caught:
        find_model(root, text)
    assert repr(text) in str(caught.value)


def test_a_run_that_is_called_baseline_is_a_run(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "baseline", dataset)
    assert find_model(root, "baseline") == checkpoint


@pytest.mark.parametrize("name", BASELINES.names())
def test_a_baselines_ranks_are_computed_once_and_then_taken_from_its_shelf(
    root: Root, dataset: Dataset, computed: list[str], name: str
) -> None:
    task = Task(dataset, split_of("leave_last_out"))
    first, again = (evaluate(root, ModelRef(name), task) for _ in range(2))
    assert computed == [name]
    assert_same_ranks(first, again)
    assert first.protocol == again.protocol
    chosen_on = len(first.ranks) if first.settings else 0  # the cases that chose its settings
    known = Known(0, chosen_on)
    assert (first.model.run, first.model.checkpoint, first.known) == (f"baseline:{name}", "baseline", known)
    (kept,) = (root.runs / ".baselines").glob("*.parquet")
    assert kept.name.startswith(f"{name}-")


@pytest.mark.parametrize("name", BASELINES.names())
def test_the_settings_that_validation_chose_are_stored_with_the_ranks_and_told(
    root: Root, dataset: Dataset, name: str
) -> None:
    task = Task(dataset, split_of("leave_last_out"))
    first, again = (evaluate(root, ModelRef(name), task) for _ in range(2))
    assert first.settings == again.settings
    assert first.settings in BASELINES.get(name).GRID
    (record,) = (root.runs / ".baselines").glob("*.json")
    assert json.loads(record.read_text())["settings"] == first.settings
    compared_with = compare(root, [ModelRef(name), find_model(root, "baseline:markov")][: 1 + (name != "markov")], task)
    assert compared_with.summary([10])["results"][0]["settings"] == first.settings
    text = render(compared_with, [10], "table", "history")
    assert ("chosen on validation" in text) == bool(first.settings)
    for setting, value in first.settings.items():
        assert ("all items" if (setting, value) == ("latest", 0) else f"{setting} {value:g}") in text


def test_settings_that_are_no_numbers_are_computed_again(root: Root, dataset: Dataset, computed: list[str]) -> None:
    task, model = Task(dataset, split_of("leave_last_out")), ModelRef("item_knn")
    first = evaluate(root, model, task)
    (record,) = (root.runs / ".baselines").glob("*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"settings": {"latest": ["many"]}}))
    assert evaluate(root, model, task).settings == first.settings
    assert computed == ["item_knn"] * 2


def test_of_a_trained_model_no_settings_are_told(root: Root, dataset: Dataset) -> None:
    save_untrained(root, "run", dataset)
    (found,) = compared(root, Task(dataset, split_of("leave_last_out")), "run")
    assert found.settings == {}


def test_a_baseline_has_an_entry_of_its_own_for_every_recent(root: Root, dataset: Dataset, computed: list[str]) -> None:
    for size in (3, 5, 3, 5):
        evaluate(root, ModelRef("markov"), Task(dataset, split_of("leave_last_out"), recent=size))
    assert computed == ["markov"] * 2
    assert len(list((root.runs / ".baselines").glob("*.parquet"))) == 2


def test_a_baseline_whose_source_changed_is_computed_again(
    root: Root, dataset: Dataset, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, ref = Task(dataset, split_of("leave_last_out")), ModelRef("popularity")
    evaluate(root, ref, task)
    monkeypatch.setattr(store, "_source_digest", lambda: "f" * 16)
    assert store.store_key_of(root, ref).digest == "f" * 16
    evaluate(root, ref, task)
    evaluate(root, ref, task)
    assert computed == ["popularity"] * 2


def test_the_digest_is_of_the_source_of_all_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(str(store.baseline.__file__)).parent
    digest = store._source_digest.__wrapped__
    assert digest() == store._source_digest()
    for path in source.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(store.baseline, "__file__", str(tmp_path / "__init__.py"))
    assert digest() == store._source_digest()
    with (tmp_path / "training.py").open("a") as file:
        file.write("# counts otherwise\n")
    assert digest() != store._source_digest()


def test_a_comparison_mixes_runs_and_baselines(root: Root, dataset: Dataset, computed: list[str]) -> None:
    save_untrained(root, "run", dataset, window=4)
    for _ in range(2):
        found = compared(
            root, Task(dataset, split_of("leave_last_out")), "baseline:popularity", "run", "baseline:markov"
        )
        assert [entry.model.run for entry in found] == ["baseline:popularity", "run", "baseline:markov"]
        assert len({entry.protocol.key for entry in found}) == 1
        assert all(entry.ranks.target.tolist() == found[0].ranks.target.tolist() for entry in found)
    assert computed == ["popularity", "markov"]


def test_a_reference_that_is_not_compared_is_refused(root: Root, dataset: Dataset) -> None:
    task = Task(dataset, split_of("leave_last_out"))
    with pytest.raises(UsageError, match="'baseline:markov' is none of the models: baseline:popularity"):
        compare(root, [ModelRef("popularity")], task, reference=ModelRef("markov"))


def test_a_checkpoint_is_hashed_again_only_when_its_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = tmp_path / "best.safetensors", list[Path]()
    open_file = store.gate.open_file

    def counting(file: Path, *others: Any) -> Any:
        reads.append(file)
        return open_file(file, *others)

    monkeypatch.setattr(store.gate, "open_file", counting)
    path.write_bytes(b"one")
    first = store.digest_of(path)
    assert store.digest_of(path) == first and len(reads) == 2, "a young stamp proves nothing"
    monkeypatch.setattr(store, "settled", lambda stamps: True)
    assert {store.digest_of(path) for _ in range(3)} == {first} and len(reads) == 3
    path.write_bytes(b"other")
    assert store.digest_of(path) != first and len(reads) == 4
    path.unlink()
    with pytest.raises(StoreError):
        store.digest_of(path)


@pytest.mark.parametrize("text", ["baseline:markov", "run/best", "run/last"])
def test_a_model_reference_says_the_text_it_is_found_by(root: Root, dataset: Dataset, text: str) -> None:
    save_untrained(root, "run", dataset)
    (root.model("run") / "last.pt").write_bytes(b"weights")
    assert str(find_model(root, text)) == text
    assert find_model(root, str(find_model(root, text))) == find_model(root, text)


def test_what_needs_weights_refuses_a_baseline_by_name(root: Root) -> None:
    with pytest.raises(UsageError, match="baseline:markov is counted from the data and has no checkpoint"):
        _ = find_model(root, "baseline:markov").path
