"""A model is asked about the data it was trained on, and no other: known by fingerprint, of imported runs too."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from recformer.checkpoint.load import read_info
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.errors import DataError
from recformer.evaluation.evaluate import Task, evaluate
from recformer.evaluation.table import summarise
from recformer.recommend.side_by_side import Query, advise
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from recformer.run.record import trained_on
from recformer.training.import_run import adopt
from tests.builders import Interaction, dataset_in, sequences
from tests.training_helpers import small_config, train_here

LEAVE_LAST_OUT = parse_section("split", "leave_last_out")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def dataset(root: Root) -> Dataset:
    return dataset_in(root.data / "small")


def permuted() -> list[Interaction]:
    """The same histories with the ids of items dealt out anew: every size is what it was."""
    rows = sequences()
    items = sorted({item for _, item, _, _ in rows})
    dealt = dict(zip(items, np.random.default_rng(0).permutation(items).tolist(), strict=True))
    return [(user, dealt[item], rating, time) for user, item, rating, time in rows]


def bare_weights(root: Root, dataset: Dataset) -> Path:
    """A file of weights that says nothing of itself, as from elsewhere."""
    import torch

    from recformer.checkpoint.weights import read_state

    train_here(root, "trained", dataset, small_config())
    path = root.path / "bare.pth"
    torch.save(read_state(root.model("trained") / "best.safetensors"), path)
    return path


def test_an_imported_run_is_refused_data_of_equal_sizes_and_other_ids(root: Root, dataset: Dataset) -> None:
    adopt(root, bare_weights(root, dataset), "imported", [], dataset, {"num_heads": 2})
    other = dataset_in(root.path / "other", permuted())
    assert (other.num_users, other.num_items) == (dataset.num_users, dataset.num_items)
    checkpoint = find_model(root, "imported")
    with pytest.raises(DataError, match=r"imported/best was trained on small.*Use it with the data in .*small"):
        evaluate(root, checkpoint, Task(other, LEAVE_LAST_OUT))
    with pytest.raises(DataError, match="imported/best was trained on small"):
        advise(root, [checkpoint], other, Query(101, 5, "history"))
    assert evaluate(root, checkpoint, Task(dataset, LEAVE_LAST_OUT)).data_known


def test_what_the_runs_record_says_counts_where_the_checkpoint_says_nothing(root: Root, dataset: Dataset) -> None:
    """As runs that were imported before checkpoints of imported runs had a fingerprint."""
    path = bare_weights(root, dataset)
    adopt(root, path, "imported", [], dataset, {"num_heads": 2})
    folder = root.model("imported")
    shutil.move(folder / "best.safetensors", root.path / "with-record.safetensors")
    adopt(root, path, "elsewhere", [], None, {"num_heads": 2})
    shutil.copy(root.model("elsewhere") / "best.safetensors", folder / "best.safetensors")
    assert read_info(folder / "best.safetensors").dataset is None
    with pytest.raises(DataError, match="imported/best was trained on small"):
        evaluate(root, find_model(root, "imported"), Task(dataset_in(root.path / "other", permuted()), LEAVE_LAST_OUT))


def test_of_a_model_that_nobody_says_the_data_of_it_is_said(root: Root, dataset: Dataset) -> None:
    adopt(root, bare_weights(root, dataset), "imported", [], None, {"num_heads": 2})
    found = evaluate(root, find_model(root, "imported"), Task(dataset, LEAVE_LAST_OUT))
    assert not found.data_known
    assert summarise([found], [10])["results"][0]["data_known"] is False


def test_an_import_keeps_the_fingerprint_in_the_file_and_holds_the_dataset_named_to_it(
    root: Root, dataset: Dataset
) -> None:
    train_here(root, "trained", dataset, small_config())
    path = root.model("trained") / "best.safetensors"
    assert adopt(root, path, "kept", [], None, {"num_heads": 2}).dataset == {
        "name": "small",
        "fingerprint": dataset.fingerprint,
    }
    with pytest.raises(DataError, match="was trained on small"):
        adopt(root, path, "refused", [], dataset_in(root.path / "other", permuted()), {"num_heads": 2})
    assert not root.run("refused").exists()


def test_an_import_records_the_fingerprint_of_its_dataset_in_both_records(root: Root, dataset: Dataset) -> None:
    adopt(root, bare_weights(root, dataset), "imported", [], dataset, {"num_heads": 2})
    origin, info = trained_on(root, "imported"), read_info(root.model("imported") / "best.safetensors")
    assert origin is not None and info.dataset is not None
    assert origin.fingerprint == info.dataset["fingerprint"] == dataset.fingerprint


def test_files_that_changed_in_their_place_are_said_to_have_changed(root: Root, dataset: Dataset) -> None:
    train_here(root, "trained", dataset, small_config())
    changed = dataset_in(root.data / "small", permuted())
    with pytest.raises(DataError, match="have changed since: put back those it was trained on"):
        evaluate(root, find_model(root, "trained"), Task(changed, LEAVE_LAST_OUT))


def test_a_file_outside_of_the_root_is_held_to_its_own_record(root: Root, dataset: Dataset, tmp_path: Path) -> None:
    train_here(root, "trained", dataset, small_config())
    path = Path(shutil.copy(root.model("trained") / "best.safetensors", tmp_path / "copy.safetensors"))
    with pytest.raises(DataError, match="was trained on small"):
        evaluate(
            root,
            ModelRef(path.name, None, path),
            Task(dataset_in(root.path / "other", permuted()), LEAVE_LAST_OUT),
        )
