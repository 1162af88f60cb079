"""Every kind of file the product reads, every kind of damage to it, and what comes of it: measured, one line a case.

Run as a process of its own (`python -m tests.damage FOLDER`), since memory is measured: it prints kind, damage, outcome
("read" or "refused"), CPU-seconds and megabytes beyond rest for each, as JSON.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from recformer.checkpoint.info import CheckpointInfo, record_in
from recformer.checkpoint.load import load
from recformer.checkpoint.weights import read_state
from recformer.config import read_mapping
from recformer.data.cache import load as load_dataset
from recformer.data.sources.download import import_zip, provenance
from recformer.errors import RecformerError
from recformer.evaluation.evaluate import Task, evaluate
from recformer.evaluation.store import store_key_of, stored_protocols
from recformer.files.writing import write_json
from recformer.logs.details import read_whole
from recformer.logs.reader import RunLog
from recformer.recommend.posters import found_in, place_of, thumbnail
from recformer.run.model_ref import find_model
from recformer.run.overview import find_run, list_runs
from recformer.run.paths import Root
from recformer.run.printed import tail
from recformer.run.record import RunDataset, RunRecord, trained_on, write_record
from recformer.run.settings import read_settings
from recformer.training.resume_state import TrainState, newest_saved
from tests.builders import dataset_in
from tests.log_files import log_of
from tests.training_helpers import save_untrained, sizes_for, small_config, small_model

STALL_S = 20
"""After which a reader counts as stalled."""
SPARSE_BYTES = 1 << 33

Damage = Callable[[Path], None]
Read = Callable[[], object]


def written(content: bytes) -> Damage:
    return lambda path: void(path.write_bytes(content))


def linked(target: str) -> Damage:
    return lambda path: path.symlink_to(target)


def void(_: object) -> None:
    """Nothing, whatever the expression gave."""


def a_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE_BYTES)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # a socket's whole path has at most 107 bytes
        server.bind(path.name)


DAMAGES: dict[str, Damage] = {
    "empty": written(b""),
    "zeros": written(bytes(5000)),
    "noise": written(bytes(range(256)) * 300),
    "nested 100,000 deep": written(b"[" * 100_000),
    "objects 40,000 deep": written(b'{"a":' * 40_000),
    "list": written(b"[1, 2]"),
    "number": written(b"12"),
    "null": written(b"null"),
    "text": written(b'"words"'),
    "other types": written(json.dumps({key: [{}] for key in "abc"}).encode()),
    "number of 5,000 digits": written(b'{"name": ' + b"9" * 5000 + b"}"),
    "YAML bomb": written(
        b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 122))
    ),
    "a link to /dev/zero": linked("/dev/zero"),
    "a link to /dev/urandom": linked("/dev/urandom"),
    "a link to nothing": linked("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": a_socket,
    "sparse": a_sparse_file,
}


def record_beside_the_weights(path: Path) -> None:
    """As it was before weights held their record themselves."""
    record = record_in(path)
    assert record is not None
    write_json(path.with_suffix(".json"), record)
    save_file(load_file(path), path)


def kinds(root: Root, folder: Path) -> Iterator[tuple[str, Path, Read]]:
    """Kind, a whole file of it, and what reads it."""
    dataset = dataset_in(root.data / "small")
    checkpoint = save_untrained(root, "run", dataset)
    run, model = root.run("run"), root.model("run")
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "job.json", {"command": [], "device": "cpu", "queued_at": 1.0})
    status = {"state": "finished", "epoch": 1, "num_epochs": 1, "step": 1, "steps": 1, "device": "cpu", "time": 1.0}
    write_json(run / "status.json", status | {"progress_time": 1.0})
    (run / "config.yaml").write_text("name: a run\nmodel:\n  name: movie_transformer\n")
    write_json(run / "labels.json", {"name": "a run", "tags": ["a"]})
    write_json(run / "origin.json", {"dataset": "small", "fingerprint": "f", "path": "data/small"})
    write_json(root.runs / ".settings.json", {"jobs_per_device": 2})
    write_json(root.runs / ".posters.json", {dataset.fingerprint: "posters"})

    def one_run() -> object:
        runs, damaged = list_runs(root)
        assert len(runs) + len(damaged) == 1, "a run is lost"
        return find_run(root, "run")

    for name in ("job.json", "status.json", "config.yaml", "labels.json"):
        yield name, run / name, one_run
    record_beside_the_weights(checkpoint.path)
    yield "best.json", model / "best.json", one_run
    yield "origin.json", run / "origin.json", lambda: trained_on(root, "run")
    known = RunDataset(name="small", fingerprint="f", path="data/small")
    write_record(root, "run", RunRecord(config={"name": "a run"}, dataset=known, commit="abc"))
    yield "run.yaml", run / "run.yaml", one_run
    yield "settings", root.runs / ".settings.json", lambda: read_settings(root)
    yield "list of posters", root.runs / ".posters.json", lambda: place_of(root, dataset)

    task = Task(dataset, small_config().split)
    evaluate(root, checkpoint, task, torch.device("cpu"))
    (ranks,) = (run / "eval").glob("*.parquet")
    yield "evaluation", ranks.with_suffix(".json"), lambda: list(stored_protocols(store_key_of(root, checkpoint)))  # pyright: ignore[reportArgumentType]
    yield "ranks", ranks, lambda: evaluate(root, checkpoint, task, torch.device("cpu"))

    log_of(run, 3000)
    (events,) = run.glob("*tfevents*")
    RunLog(run, run / ".scalars.index").refresh()
    yield "log index", run / ".scalars.index", lambda: RunLog(run, run / ".scalars.index").refresh()
    yield "event file", events, lambda: RunLog(run).refresh()
    yield "event file, whole", events, lambda: read_whole(run)
    (run / "train.log").write_text("words\n" * 300)
    yield "train.log", run / "train.log", lambda: tail(run / "train.log")

    yield "best.safetensors", checkpoint.path, lambda: (load(checkpoint.path), find_model(root, "run/best"))
    untrained = small_model(sizes_for(dataset))
    info = CheckpointInfo("run", small_config().model.model_dump(mode="json"), asdict(sizes_for(dataset)))
    TrainState(untrained, torch.optim.Adam(untrained.parameters()), torch.device("cpu")).save(model, info)
    yield "last.pt", model / "last.pt", lambda: (newest_saved(model), load(model / "last.pt"))
    torch.save(untrained.state_dict(), folder / "given.pth")
    yield "given.pth", folder / "given.pth", lambda: read_state(folder / "given.pth")
    (folder / "given.yaml").write_text("name: a run\n")
    yield "given configuration", folder / "given.yaml", lambda: read_mapping(folder / "given.yaml")

    cache = folder / "cache"
    for file in sorted((root.data / "small").iterdir()):
        yield f"dataset {file.name}", file, lambda: load_dataset(root.data / "small", cache)
    cache = folder / "another cache"
    load_dataset(root.data / "small", cache)
    (entry,) = cache.iterdir()
    for file in sorted(entry.iterdir()):
        yield f"cached {file.name}", file, lambda: load_dataset(root.data / "small", cache)
    write_json(root.data / "small" / "SOURCE.json", {"source": "somewhere"})
    yield "SOURCE.json", root.data / "small" / "SOURCE.json", lambda: provenance(root.data / "small")
    with zipfile.ZipFile(folder / "given.zip", "w") as archive:
        for file in (root.data / "small").iterdir():
            archive.write(file, file.name)
    yield "zip", folder / "given.zip", lambda: import_zip(folder / "given.zip", None, folder / "imported", void)
    (folder / "posters.csv").write_text("item_id,url\n1,https://a.org/1.jpg\n")
    yield "posters.csv", folder / "posters.csv", lambda: found_in(folder / "posters.csv", pd.Index([1, 2]))
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(folder / "1.jpg")
    yield "poster", folder / "1.jpg", lambda: thumbnail(folder / "1.jpg")


class StalledError(Exception):
    """A reader did not come back."""


def measured(read: Read) -> tuple[str, float, float]:
    """Outcome, CPU-seconds, and megabytes that reading took at its height beyond what was there before."""
    Path("/proc/self/clear_refs").write_text("5")
    rest, began = memory("VmRSS"), time.process_time()
    signal.alarm(STALL_S)
    try:
        read()
        outcome = "read"
    except RecformerError as error:
        outcome = "refused" if len(str(error).splitlines()) == 1 and len(str(error)) < 2000 else f"wordy: {error}"
    except Exception:
        outcome = traceback.format_exc()
    finally:
        signal.alarm(0)
    return outcome, time.process_time() - began, memory("VmHWM") - rest


def memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def stalled(*_: object) -> None:
    raise StalledError


def main(folder: Path) -> None:
    """Print what comes of each damage to each kind."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stalled)
    for kind, path, read in kinds(Root(folder / "root"), folder):
        read()  # whole; and all that it needs is loaded
        whole = path.read_bytes()
        changed = {"cut": written(whole[: len(whole) // 2]), "doubled": written(2 * whole)}
        for name, damage in (DAMAGES | changed).items():
            remove(path)
            path.parent.mkdir(exist_ok=True)  # a damaged entry of a cache is removed whole
            damage(path)
            outcome, seconds, megabytes = measured(read)
            print(json.dumps([kind, name, outcome, round(seconds, 2), round(megabytes)]), flush=True)
        remove(path)
        remove(folder / "imported")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
