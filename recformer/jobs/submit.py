"""Ask for a training run: write what it needs into its folder, then launch it in a process of its own."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from recformer.config import TrainConfig, dump
from recformer.jobs.launch import launch
from recformer.store import Root, reserve_run_id, write_text


def submit(root: Root, config: TrainConfig, data: Path, device: str, init_from: str | None = None) -> str:
    """Start a new run and return its id. `init_from` names a checkpoint whose weights it begins with.

    Raises JobError when it cannot be launched, StoreError when the disk refuses; no half-made run stays behind.
    """
    run_id = reserve_run_id(root, config.name)
    folder = root.run(run_id)
    try:
        write_text(folder / "config.yaml", dump(config))
        arguments = ["train", "--config", str(folder / "config.yaml"), "--data", str(data.resolve())]
        arguments += ["--run-id", run_id, "--device", device]
        arguments += ["--init-from", init_from] if init_from else []
        launch(root, run_id, arguments, device)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run_id


def resume(root: Root, run_id: str, device: str, overrides: Iterable[str] = ()) -> None:
    """Let a run go on from its last.pt, with `overrides` ("num_epochs=20") where they are allowed on resume.

    Raises JobError when it is alive or cannot be launched.
    """
    arguments = ["train", "--resume", run_id, "--device", device]
    for assignment in overrides:
        arguments += ["--set", assignment]
    launch(root, run_id, arguments, device)
