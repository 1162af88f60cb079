"""Ask for a training run: write down what is asked for, then launch it in a process of its own."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from recformer.config import TrainConfig
from recformer.errors import StoreError
from recformer.jobs.devices import queue_of
from recformer.jobs.launch import launch
from recformer.run.labels import give_colour
from recformer.run.names import known_run
from recformer.run.paths import Root, reserve_run_id
from recformer.run.record import RunRecord, asked, write_record

if TYPE_CHECKING:
    from recformer.data.dataset import Dataset


def submit(root: Root, config: TrainConfig, dataset: "Dataset", device: str, init_from: str | None = None) -> str:
    """Queue a new run and return its id. `init_from` names a checkpoint whose weights it begins with.

    Raises JobError when it cannot be launched, StoreError when the disk refuses; no half-made run stays behind.
    """
    run_id = reserve_run_id(root, config.name)
    try:
        write_down(root, run_id, asked(root, config.model_dump(mode="json"), dataset, device, init_from))
        resume(root, run_id, device)
    except BaseException:
        shutil.rmtree(root.run(run_id), ignore_errors=True)
        raise
    return run_id


def write_down(root: Root, run_id: str, record: RunRecord) -> None:
    """Write what a new run is asked with, and give it a colour. Raises StoreError when the disk refuses."""
    write_record(root, run_id, record)
    with suppress(StoreError):  # a colour is no reason not to train
        give_colour(root, run_id)


def resume(root: Root, run_id: str, device: str, overrides: Iterable[str] = ()) -> None:
    """Let a run go on from its last.pt, or begin where it never saved anything.

    `overrides` ("num_epochs=20") where they are allowed on resume.
    Raises JobError when it is alive or cannot be launched, UsageError when there is no such run.
    """
    launch(root, known_run(root, run_id), train_arguments(run_id, device, overrides), queue_of(device))


def train_arguments(run_id: str, device: str, overrides: Iterable[str] = (), data: Path | None = None) -> list[str]:
    """The command that trains a run whose record is written."""
    arguments = ["train", "--resume", run_id, "--device", device]
    for assignment in overrides:
        arguments += ["--set", assignment]
    return arguments if data is None else [*arguments, "--data", str(data.resolve())]
