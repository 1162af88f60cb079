"""What a run was asked for: written once, added to by a resume, read in the forms of earlier versions too."""

import shutil
from pathlib import Path

import pytest
import yaml

from recformer.config import parse
from recformer.errors import StoreError
from recformer.files.names import PROJECT
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.record import (
    Resumption,
    RunDataset,
    RunRecord,
    read_record,
    read_settings,
    remember_dataset,
    trained_on,
    write_record,
)
from tests.builders import dataset_in
from tests.training_helpers import small_config, train_here

OLD_DEMOS = sorted(path.parent.name for path in (PROJECT / "runs").glob("demo-*/config.yaml"))
RECORD = RunRecord(
    config=small_config().model_dump(mode="json"),
    dataset=RunDataset(name="small", fingerprint="f" * 16, path="data/small"),
    init_from="other/best",
    device="auto",
    commit="abc",
)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_record_is_read_as_it_was_written(root: Root) -> None:
    write_record(root, "run", RECORD)
    assert read_record(root.run("run")) == RECORD
    assert parse(RECORD.settings) == small_config()


def test_a_run_without_a_record_has_none(root: Root) -> None:
    assert read_record(root.run("run")) is None
    assert read_settings(root.run("run")) == {}
    assert trained_on(root, "run") is None


def test_the_latest_resume_that_says_something_holds() -> None:
    moved = RunDataset(name="small", fingerprint="f" * 16, path="/elsewhere")
    resumed = [
        Resumption(changes={"num_epochs": 5, "learning_rate": 0.1}, dataset=moved, device="cpu", commit="b"),
        Resumption(changes={"num_epochs": 9}, device="cpu", commit="c"),
    ]
    record = RECORD.model_copy(update={"resumed": resumed})
    assert (record.settings["num_epochs"], record.settings["learning_rate"]) == (9, 0.1)
    assert record.trained_on == moved


def test_a_resume_adds_to_the_record_and_alters_nothing_that_stood_there(root: Root, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "small")
    train_here(root, "run", dataset, small_config())
    before = read_record(root.run("run"))
    train_here(root, "run", dataset, small_config(num_epochs=2), resume=True)
    after = read_record(root.run("run"))
    assert before is not None and after is not None
    assert after.model_copy(update={"resumed": []}) == before
    assert [entry.changes["num_epochs"] for entry in after.resumed] == [2]
    assert find_run(root, "run").config["num_epochs"] == 2


def test_a_record_that_was_cut_off_is_never_taken_for_whole(root: Root) -> None:
    write_record(root, "run", RECORD.model_copy(update={"resumed": [Resumption(changes={}, device="cpu", commit="b")]}))
    path = root.run("run") / "run.yaml"
    content = path.read_bytes()
    for end in range(len(content) - len("commit: abc\n")):
        path.write_bytes(content[:end])
        with pytest.raises(StoreError, match="damaged"):
            read_record(root.run("run"))


@pytest.mark.parametrize("demo", OLD_DEMOS)
def test_a_run_of_an_earlier_version_is_read_and_left_as_it_is(root: Root, demo: str) -> None:
    shutil.copytree(PROJECT / "runs" / demo, root.run(demo))
    before = files(root.run(demo))
    record = read_record(root.run(demo))
    assert record is not None and record.trained_on is not None
    assert record.settings == yaml.safe_load(before["config.yaml"])
    assert (record.trained_on.name, record.trained_on.path) == ("ml-100k", "data/ml-100k")
    assert record.commit
    assert parse(record.settings).name == find_run(root, demo).name
    assert files(root.run(demo)) == before


def test_an_earlier_import_of_unknown_data_can_be_told_its_data(root: Root, tmp_path: Path) -> None:
    root.run("old").mkdir(parents=True)
    (root.run("old") / "config.yaml").write_text("name: old\nwindow: 5\n")
    assert trained_on(root, "old") is None
    dataset = dataset_in(tmp_path / "data" / "small")
    remember_dataset(root, "old", dataset)
    assert trained_on(root, "old") == RunDataset(name="small", fingerprint=dataset.fingerprint, path="data/small")
    assert read_settings(root.run("old")) == {"name": "old", "window": 5}
    assert (root.run("old") / "config.yaml").read_text() == "name: old\nwindow: 5\n"


def test_a_damaged_origin_of_an_earlier_version_is_named_and_hides_no_settings(root: Root) -> None:
    root.run("old").mkdir(parents=True)
    (root.run("old") / "config.yaml").write_text("name: old\n")
    (root.run("old") / "origin.json").write_text('{"dataset": "small"}')
    with pytest.raises(StoreError, match=r"origin\.json is damaged: fingerprint"):
        trained_on(root, "old")
    assert find_run(root, "old").name == "old"
