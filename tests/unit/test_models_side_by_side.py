"""Models with windows of several sizes under one protocol, and baselines as models with a store key of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recformer.data.dataset import Dataset
from recformer.errors import EvaluationError, StoreError, UsageError
from recformer.evaluation import evaluate as module
from recformer.evaluation import store
from recformer.evaluation.compare import compare
from recformer.evaluation.evaluate import DEFAULT_WINDOW, Pending, Task, evaluate, pending_all, split_of
from recformer.evaluation.protocol import MixedProtocolsError
from recformer.evaluation.table import Evaluation, summarise
from recformer.registry import BASELINES
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import save_untrained

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


@pytest.mark.parametrize(("sizes", "remedy"), [((4, 5), 5), ((7, 3), 7), ((3, 6, 4), 6)])
def test_models_with_windows_of_several_sizes_are_refused_with_the_window_that_fits_all(
    root: Root, dataset: Dataset, sizes: tuple[int, ...], remedy: int
) -> None:
    with pytest.raises(MixedProtocolsError, match=f"--window {remedy}") as caught:
        summarise(of_windows(root, dataset, Task(dataset, split_of("leave_last_out")), *sizes), [10])
    assert caught.value.window == remedy


def test_what_no_window_can_mend_names_none(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    parts = [
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), part)) for part in ("test", "validation")
    ]
    with pytest.raises(MixedProtocolsError, match="part") as caught:
        summarise(parts, [10])
    assert caught.value.window is None
    assert "--window" not in str(caught.value)


@pytest.mark.parametrize("window", [5, 9])
def test_models_with_windows_of_several_sizes_stand_side_by_side_under_one(
    root: Root, dataset: Dataset, window: int
) -> None:
    short, long = of_windows(root, dataset, Task(dataset, split_of("leave_last_out"), window=window), 3, 5)
    assert short.protocol == long.protocol
    assert short.protocol.window == window
    for field in ("user", "target"):
        assert getattr(short.ranks, field).tolist() == getattr(long.ranks, field).tolist()
    assert len(summarise([short, long], [10], baseline=0)["results"]) == 6


def test_a_wider_window_gives_a_model_no_more_to_read_and_masks_more(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, window=3)
    own, wider = (
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), window=size)) for size in (None, 9)
    )
    assert own.protocol.window == 3
    assert own.ranks.rank_none.tolist() == wider.ranks.rank_none.tolist()
    assert own.ranks.rank_history.tolist() == wider.ranks.rank_history.tolist()
    assert (wider.ranks.rank_window <= own.ranks.rank_window).all()
    assert (wider.ranks.rank_window < own.ranks.rank_window).any()


def test_the_models_own_window_said_in_words_is_the_same_protocol(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, window=4)
    unsaid, said = (
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), window=size)) for size in (None, 4)
    )
    assert unsaid.protocol == said.protocol


def test_a_window_smaller_than_the_models_is_an_error_that_says_the_least(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset, window=5)
    expected = r"run/best reads the latest 5 items.*window of 4.*--window 5"
    with pytest.raises(EvaluationError, match=expected):
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), window=4))


def test_of_several_models_the_one_that_cannot_be_evaluated_does_not_take_the_others_with_it(
    root: Root, dataset: Dataset
) -> None:
    for size in (3, 5):
        save_untrained(root, f"run-{size}", dataset, window=size)
    gone = ModelRef.of_run(root, "gone")
    models = [find_model(root, "run-5"), find_model(root, "run-3"), gone, ModelRef("markov")]
    found = pending_all(root, models, Task(dataset, split_of("leave_last_out"), window=3))
    assert list(found) == models
    assert [type(entry) for entry in found.values()] == [EvaluationError, Pending, StoreError, Pending]


def test_baselines_take_the_largest_window_of_the_models_beside_them(root: Root, dataset: Dataset) -> None:
    for size in (3, 6):
        save_untrained(root, f"run-{size}", dataset, window=size)
    counted, task = ModelRef("popularity"), Task(dataset, split_of("leave_last_out"))
    entries = pending_all(root, [counted, find_model(root, "run-3"), find_model(root, "run-6")], task)
    assert [entry.empty.protocol.window for entry in entries.values() if isinstance(entry, Pending)] == [6, 3, 6]
    alone = pending_all(root, [counted], task)[counted]
    assert isinstance(alone, Pending)
    assert alone.empty.protocol.window == DEFAULT_WINDOW


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
    assert (first.model.run, first.model.checkpoint, first.trained_on) == (f"baseline:{name}", "baseline", 0)
    (kept,) = (root.runs / ".baselines").glob("*.parquet")
    assert kept.name.startswith(f"{name}-")


def test_a_baseline_has_an_entry_of_its_own_for_every_window(root: Root, dataset: Dataset, computed: list[str]) -> None:
    for size in (3, 5, 3, 5):
        evaluate(root, ModelRef("markov"), Task(dataset, split_of("leave_last_out"), window=size))
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
