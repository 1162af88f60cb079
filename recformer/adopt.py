"""Bring in checkpoints and logs that were made elsewhere, as runs of this project."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from tbparse import SummaryReader

from recformer.checkpoint_info import CheckpointInfo, TrainedOn, read_info
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, DataError, UsageError
from recformer.evaluation.fit import check_fit
from recformer.labels import give_colour
from recformer.origin import Origin, portable_path, write_origin
from recformer.store import CheckpointRef, Root, write_text
from recformer.weights import infer_info, load, read_state, write_best


def adopt(
    root: Root,
    checkpoint: Path,
    run_id: str,
    events: list[Path],
    dataset: Dataset | None,
    options: dict[str, Any],
) -> CheckpointInfo:
    """Import a checkpoint file, with its TensorBoard event files, as run `run_id`.

    The architecture is read from the shapes of its tensors; `options` says what shapes cannot (num_heads). With
    `dataset` the model is checked against it, and the run remembers its fingerprint; without, that in the file's own
    record. All or nothing is imported.
    Raises UsageError when the run exists, CheckpointError, DataError.
    """
    if root.run(run_id).exists() or root.model(run_id).exists():
        raise UsageError(f"run {run_id!r} exists already; choose another --name")
    info = replace(infer_info(checkpoint, read_state(checkpoint), options), run_id=run_id)
    info = replace(info, dataset=_recorded_dataset(checkpoint))
    model, _ = load(checkpoint, info)
    if dataset is not None:
        check_fit(root, info, dataset, CheckpointRef(checkpoint, None, checkpoint.name))
        info = replace(info, dataset={"name": dataset.name, "fingerprint": dataset.fingerprint})
    for file in events:
        _check_events(file)
    try:
        for file in events:
            root.run(run_id).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, root.run(run_id) / file.name)
        config = {"name": run_id, "model": info.model, "window": info.shape.window}
        write_text(root.run(run_id) / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        if dataset is not None:
            path = portable_path(root, dataset.source)
            write_origin(root, run_id, Origin(dataset.name, dataset.fingerprint, path))
        give_colour(root, run_id)
        write_best(root.model(run_id), model, info)
    except BaseException:
        shutil.rmtree(root.run(run_id), ignore_errors=True)
        shutil.rmtree(root.model(run_id), ignore_errors=True)
        raise
    return info


def _recorded_dataset(checkpoint: Path) -> TrainedOn | None:
    """Name and fingerprint of what a file of our own says it was trained on; None for any other file."""
    with suppress(CheckpointError):
        return read_info(checkpoint).dataset
    return None


def _check_events(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"event file {file} does not exist")
    if "tfevents" not in file.name:
        raise UsageError(f"{file} is no TensorBoard event file: its name has no 'tfevents'")
    if SummaryReader(str(file)).scalars.empty:
        raise DataError(f"{file} holds no scalars: it is empty, damaged or no TensorBoard event file")
