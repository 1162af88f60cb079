"""Ask for a training run: write what it needs into its folder, then launch it in a process of its own."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from recformer.config import TrainConfig, dump
from recformer.errors import JobError
from recformer.files.writing import write_text
from recformer.jobs.devices import queue_of
from recformer.jobs.launch import launch
from recformer.run.labels import give_colour
from recformer.run.names import known_run
from recformer.run.paths import Root, reserve_run_id
from recformer.run.provenance import Provenance, portable_path, read_provenance, write_provenance


def submit(root: Root, config: TrainConfig, data: Path, device: str, init_from: str | None = None) -> str:
    """Queue a new run and return its id. `init_from` names a checkpoint whose weights it begins with.

    Raises JobError when it cannot be launched, StoreError when the disk refuses; no half-made run stays behind.
    """
    run_id = reserve_run_id(root, config.name)
    folder = root.run(run_id)
    try:
        write_text(folder / "config.yaml", dump(config))
        # The trainer writes its fingerprint; until then this says what to start again with, should it never begin.
        write_provenance(root, run_id, Provenance(data.name, "", portable_path(root, data), init_from))
        give_colour(root, run_id)
        launch(root, run_id, _fresh_arguments(root, run_id, data, device, init_from), queue_of(device))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run_id


def resume(root: Root, run_id: str, device: str, overrides: Iterable[str] = ()) -> None:
    """Let a run go on from its last.pt, with `overrides` ("num_epochs=20") where they are allowed on resume.

    Raises JobError when it is alive or cannot be launched, UsageError when there is no such run.
    """
    known_run(root, run_id)
    arguments = ["train", "--resume", run_id, "--device", device]
    for assignment in overrides:
        arguments += ["--set", assignment]
    launch(root, run_id, arguments, queue_of(device))


def start_again(root: Root, run_id: str, device: str) -> None:
    """Launch a run that never saved anything (cancelled, lost or failed before) as it was asked for.

    Raises JobError when it is alive, cannot be launched, or does not say what it was to be trained on.
    """
    from recformer.run.find_dataset import find_dataset  # loads pandas, which the list of runs does without

    origin = read_provenance(root, run_id)
    if origin is None or not (root.run(run_id) / "config.yaml").is_file():
        raise JobError(f"run {run_id!r} does not say what it was to train; start a new run instead")
    data = find_dataset(root, origin).source
    arguments = _fresh_arguments(root, run_id, data, device, origin.init_from)
    launch(root, run_id, arguments, queue_of(device))


def _fresh_arguments(root: Root, run_id: str, data: Path, device: str, init_from: str | None) -> list[str]:
    config = str(root.run(run_id) / "config.yaml")
    arguments = ["train", "--config", config, "--data", str(data.resolve()), "--run-id", run_id, "--device", device]
    return arguments + (["--init-from", init_from] if init_from else [])
