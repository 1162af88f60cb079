"""Bring in checkpoints and logs that were made elsewhere, as runs of this project."""

import itertools
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from recformer.checkpoint.info import CheckpointInfo, TrainedOn
from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import build, infer_info, read_state, write_best
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, DataError, UsageError
from recformer.evaluation.dataset_check import check_fit
from recformer.logs.files import is_event_file
from recformer.logs.folder import has_scalars
from recformer.run.labels import give_colour
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.run.record import RunRecord, run_dataset, write_record


def adopt(
    root: Root,
    checkpoint: Path,
    run_id: str,
    events: list[Path],
    dataset: Dataset | None,
    options: dict[str, Any],
    weights: str | None = None,
) -> CheckpointInfo:
    """Import a checkpoint file, with its TensorBoard event files, as run `run_id`.

    The architecture is read from the shapes of its tensors; `options` says what shapes cannot (num_heads), `weights`
    which set where the file holds several. With
    `dataset` the model is checked against it, and the run remembers its fingerprint; without, that in the file's own
    record. All or nothing is imported.
    Raises UsageError when the run exists, CheckpointError, DataError.
    """
    if root.run(run_id).exists() or root.model(run_id).exists():
        raise UsageError(f"run {run_id!r} exists already", cli="Choose another --name")
    state = read_state(checkpoint, weights)
    info = replace(infer_info(checkpoint, state, options), run_id=run_id)
    info = replace(info, dataset=_recorded_dataset(checkpoint))
    model = build(parse_section("model", info.model), info.shape, state, str(checkpoint))
    if dataset is not None:
        check_fit(root, info, dataset, ModelRef(checkpoint.name, None, checkpoint))
        info = replace(info, dataset={"name": dataset.name, "fingerprint": dataset.fingerprint})
    parts = parts_of(events)
    for file in parts:
        _check_events(file)
    try:
        for file, part in parts.items():
            (root.run(run_id) / part).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, root.run(run_id) / part / file.name)
        config = {"name": run_id, "model": info.model, "window": info.shape.window}
        known = None if dataset is None else run_dataset(root, dataset)
        write_record(root, run_id, RunRecord(config=config, dataset=known, commit=""))
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


def parts_of(events: Sequence[Path]) -> dict[Path, str]:
    """For each event file once, the folder within the run that it goes to, so that none takes another's place.

    Those of one folder go to the run's own (""), those of several to folders called so: train/ev and validation/ev to
    "train" and "validation", the files of a folder and of one in it to "" and that one's name. Folders that are called
    the same are told apart by those they lie in.
    """
    files = list(dict.fromkeys(Path(os.path.abspath(file)) for file in events))  # noqa: PTH100  links keep their names
    folders = {file.parent for file in files}
    for top in folders:
        if all(folder.is_relative_to(top) for folder in folders):
            return {file: _as_part(file.parent.relative_to(top).parts) for file in files}
    depth = next(
        depth for depth in itertools.count(1) if len({folder.parts[-depth:] for folder in folders}) == len(folders)
    )
    return {file: _as_part(file.parent.parts[-depth:]) for file in files}


def _as_part(names: Sequence[str]) -> str:
    """A path below the run's folder; a hidden one would not be read."""
    return "/".join(name.lstrip(".") or "log" for name in names if name != os.sep)


def _check_events(file: Path) -> None:
    if not file.exists():
        raise UsageError(f"event file {file} does not exist")
    if not is_event_file(file.name):
        raise UsageError(f"{file} is no TensorBoard event file: its name has no 'tfevents'")
    try:
        scalars = has_scalars(file)
    except OSError as error:
        raise DataError(f"{file} could not be read: {error.strerror or error}") from error
    if not scalars:
        raise DataError(f"{file} holds no scalars: it is empty, damaged or no TensorBoard event file")
