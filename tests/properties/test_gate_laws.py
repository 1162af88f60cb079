"""Whatever stands in a file, each reader reads it or raises the product's own error, in one sentence."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recformer.checkpoint.info import info_from
from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import read_state
from recformer.config import parse, read_mapping
from recformer.data.assemble import read_dataset
from recformer.data.sources.download import import_zip
from recformer.errors import ConfigError, RecformerError
from recformer.logs.reader import RunLog
from recformer.recommend.posters import found_in, place_of, thumbnail
from recformer.run.find_dataset import find_dataset
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.record import trained_on
from recformer.run.settings import read_settings
from recformer.training.resume_state import newest_saved
from tests.builders import SMALL, SMALL_MOVIES, dataset_in, dataset_of, write_csv
from tests.effort import examples
from tests.log_files import log_of
from tests.training_helpers import save_untrained

DATASET = dataset_of([[0, 2, 1]], num_items=4)
IDS = pd.Index([1, 2])  # of posters
HUGE = st.sampled_from([10**9, 10**19, 10**400, -(10**30), 2**63, -1])
scalars = st.none() | st.booleans() | st.integers() | HUGE | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
# Records as they are, some of their fields changed: what is nearly right reaches deepest.
RECORDS: dict[str, dict[str, Any]] = {
    "job.json": {"command": ["a"], "device": "cpu", "queued_at": 1.0, "pid": 5, "birth": "x", "ended": "killed"},
    "status.json": {
        "state": "running",
        "epoch": 1,
        "num_epochs": 2,
        "step": 3,
        "steps": 4,
        "device": "cpu",
        "time": 1.0,
        "progress_time": 1.0,
        "loss": "nan",
        "eta_s": 3.0,
        "metrics": {"loss": 1.0},
        "best": {"epoch": 1.0},
    },
    "config.yaml": {"name": "a", "model": {"name": "movie_transformer", "width": 8}, "loss": "cross_entropy"},
    "labels.json": {"name": "a", "tags": ["b"], "note": "c", "archived": False, "colour": 1},
    "best.json": {"epoch": 1, "metrics": {"metric/ndcg@10": 0.1}, "dataset": {"name": "a", "fingerprint": "b"}},
    "origin.json": {"dataset": "a", "fingerprint": "b", "path": "data/a", "init_from": None, "commit": ""},
    "run.yaml": {
        "config": {"name": "a", "loss": "cross_entropy"},
        "resumed": [{"changes": {"num_epochs": 2}, "device": "cpu", "commit": "b"}],
        "dataset": {"name": "a", "fingerprint": "b", "path": "data/a"},
        "commit": "c",
    },
    ".settings.json": {"jobs_per_device": 2, "grace_s": 3.0},
    ".posters.json": {DATASET.fingerprint: "posters", "other": "b"},
}
INFO: dict[str, Any] = {
    "run_id": "a",
    "model": {"name": "movie_transformer", "width": 8, "num_heads": 2},
    "sizes": {"num_tokens": 5, "num_users": 3, "window": 2},
    "epoch": 1,
    "metrics": {"a": 1.0},
    "dataset": {"name": "a", "fingerprint": "b"},
    "split": {"name": "leave_last_out"},
    "format": 1,
}


@st.composite
def nearly(draw: st.DrawFn, record: dict[str, Any]) -> dict[str, Any]:
    """`record` with some fields changed, left out or added."""
    changed = dict(record)
    for key in draw(st.lists(st.sampled_from(sorted(record)), max_size=3)):
        inner = record[key]
        changed[key] = draw(values | nearly(inner) if isinstance(inner, dict) and inner else values)
    for key in draw(st.lists(st.sampled_from(sorted(record)), max_size=1)):
        del changed[key]
    return changed | draw(st.dictionaries(st.text(max_size=5), values, max_size=1))


def accept(read: Callable[[], object]) -> None:
    """Let `read` read, or refuse in one sentence."""
    try:
        read()
    except ConfigError:
        pass  # has a line a fault
    except RecformerError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 3000, error


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def readers_of(root: Root, name: str) -> list[Callable[[], object]]:
    return {
        "origin.json": [lambda: (known := trained_on(root, "run")) and find_dataset(root, known)],
        ".settings.json": [lambda: read_settings(root)],
        ".posters.json": [lambda: (place := place_of(root, DATASET)) and found_in(place, IDS)],
        "run.yaml": [lambda: shown(root), lambda: trained_on(root, "run")],
    }.get(name, [lambda: shown(root)])


def shown(root: Root) -> None:
    """All that lists say of a run."""
    run = find_run(root, "run")
    assert run.state.words and isinstance(run.name, str)
    json.dumps(run.config)


@pytest.mark.parametrize("name", RECORDS)
@settings(max_examples=examples(60))
@given(data=st.data())
def test_a_record_is_read_or_refused(folder: Path, name: str, data: st.DataObject) -> None:
    root = Root(folder / "root")
    path = {"best.json": root.model("run"), ".": root.runs}.get(
        name if name == "best.json" else name[0], root.run("run")
    )
    root.run("run").mkdir(parents=True, exist_ok=True)
    path.mkdir(parents=True, exist_ok=True)
    record = data.draw(nearly(RECORDS[name]) | values)
    dump = yaml.safe_dump if name.endswith(".yaml") else json.dumps
    try:
        text = dump(record)
    except (ValueError, yaml.YAMLError):  # 10**400 has no text where Python's limit is lower
        return
    content = text.encode("utf-8", "replace")
    (path / name).write_bytes(data.draw(st.just(content) | st.integers(0, len(content)).map(lambda end: content[:end])))
    try:
        for read in readers_of(root, name):
            accept(read)
        if name == "config.yaml":
            accept(lambda: parse(read_mapping(path / name), "config"))
    finally:
        (path / name).unlink()


@settings(max_examples=examples(100))
@given(record=nearly(INFO) | st.dictionaries(st.text(max_size=5), values))
def test_a_checkpoints_record_is_read_or_refused(record: dict[str, Any]) -> None:
    accept(lambda: info_from(record, Path("file")))


odd_keys = (
    st.integers() | st.none() | st.tuples(st.integers()) | st.booleans() | st.text(max_size=5) | st.binary(max_size=3)
)


@settings(max_examples=examples(60))
@given(data=st.data())
def test_an_archive_of_any_content_is_read_or_refused(folder: Path, data: st.DataObject) -> None:
    tensors = st.sampled_from(
        [
            torch.zeros(3),
            torch.zeros(1).expand(10**12),
            torch.zeros(2, 2).to_sparse(),
            torch.zeros(3, dtype=torch.complex64),
            torch.tensor(3),
            torch.zeros(0, 5),
            torch.empty(3, device="meta"),
        ]
    )
    state = st.dictionaries(odd_keys, tensors | values, max_size=3)
    content = data.draw(
        state
        | st.fixed_dictionaries({"model": state | values, "info": nearly(INFO) | values})
        | values
        | st.fixed_dictionaries({"position": values, "model": state, "optimizer": values, "random": values})
    )
    models = folder / "archives"
    models.mkdir(exist_ok=True)
    torch.save(content, models / "last.pt", _use_new_zipfile_serialization=data.draw(st.booleans()))
    for read in (read_state, read_info, load):
        accept(lambda read=read: read(models / "last.pt"))
    accept(lambda: newest_saved(models))


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, bytes]:
    """A whole file of each kind that is no record."""
    root = Root(folder / "whole")
    reference = save_untrained(root, "run", dataset_in(root.data / "small"))
    state = io.BytesIO()
    torch.save(read_state(reference.path), state)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in write_csv(folder / "csv", SMALL, SMALL_MOVIES).iterdir():
            opened.write(file, file.name)
    log = log_of(folder / "log", 2000)
    RunLog(folder / "log", folder / "index").refresh()
    return {
        "a.safetensors": reference.path.read_bytes(),
        "a.pth": state.getvalue(),
        "a.zip": archive.getvalue(),
        "a.csv": b"item_id,url\n1,https://a.org/1.jpg\n2,http://b.org\n",
        "1.png": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "ratings.csv": (folder / "csv" / "ratings.csv").read_bytes(),
        "events": log.read_bytes(),
        "index": (folder / "index").read_bytes(),
    }


def read_changed(folder: Path, name: str, content: bytes) -> None:
    """Read a file with this content as what it is called."""
    place = folder / "changed"
    place.mkdir(exist_ok=True)
    path = place / name
    path.write_bytes(content)
    if name == "a.zip":
        with tempfile.TemporaryDirectory() as imported:
            import_zip(path, "a", Path(imported), lambda _: None)
    elif name == "a.csv":
        found_in(path, IDS)
    elif name == "1.png":
        thumbnail(path)
    elif name == "ratings.csv":
        (folder / "csv" / name).write_bytes(content)
        read_dataset(folder / "csv")
    elif name == "events":
        (folder / "log" / "b.tfevents.9").write_bytes(content)
        RunLog(folder / "log").refresh()
        (folder / "log" / "b.tfevents.9").unlink()
    elif name == "index":
        RunLog(folder / "log", path).refresh()
    else:
        load(path)


@pytest.mark.parametrize(
    "name", ["a.safetensors", "a.pth", "a.zip", "a.csv", "1.png", "ratings.csv", "events", "index"]
)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(
    folder: Path, whole: dict[str, bytes], name: str, data: st.DataObject
) -> None:
    content = bytearray(whole[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)) | st.integers(0, min(len(content), 200)))
        piece = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"\0" * 4, b"9" * 5000, b"\xff" * 8, b"[" * 1000, b"\n"])
        )
        content[place : place + data.draw(st.sampled_from([0, len(piece), 20]))] = piece
    accept(lambda: read_changed(folder, name, bytes(content)))
