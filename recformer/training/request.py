"""From the words of a command to a training: which configuration, data, device and weights."""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recformer.checkpoint.info import info_from
from recformer.checkpoint.weights import infer_info, read_state
from recformer.config import TrainConfig, dump, override, parse, preset, preset_names, read_mapping
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.repeats import unanswered
from recformer.errors import CheckpointError, DataError, RecformerError, StoreError, UsageError
from recformer.files import gate
from recformer.files.names import RUN_ID, in_shell
from recformer.files.writing import write_text
from recformer.jobs.launch import enter_queue
from recformer.jobs.wait_for_turn import await_turn
from recformer.model.device import resolve
from recformer.registry import MODELS
from recformer.run.find_dataset import find_dataset
from recformer.run.job_records import Status, read_job, read_status, write_status
from recformer.run.labels import give_colour
from recformer.run.locks import record_lock
from recformer.run.names import known_run
from recformer.run.paths import CheckpointRef, Root, can_resume, find_checkpoint, has_checkpoint, reserve_run_id
from recformer.run.provenance import Provenance, code_commit, portable_path, read_provenance, write_provenance
from recformer.training.changes import check_resume
from recformer.training.loop import Outcome
from recformer.training.resume_state import newest_saved
from recformer.training.run import config_from_weights, fit


@dataclass(frozen=True)
class TrainingPlan:
    """One training, checked and ready to be carried out."""

    run_id: str
    config: TrainConfig
    data: Path
    device: torch.device
    resume: bool = False
    init_from: Path | None = None
    init_name: str | None = None
    """How the weights it begins with are named."""
    fingerprint: str | None = None
    """What the data must be, when a run is resumed."""


def chosen_mapping(
    root: Root, name: str | None, file: Path | None, init_from: str | None, changes: Iterable[str]
) -> tuple[dict[str, Any], str]:
    """The configuration of a new run, not yet checked, and where it is from.

    A preset, or a file, or that of the checkpoint it begins with; then `changes`. Raises UsageError when it is not
    clear which.
    """
    if name is not None and file is not None:
        raise UsageError("a preset and a configuration exclude each other", cli="Name one of --preset and --config")
    if name is None and file is None and init_from is None:
        raise UsageError(
            "nothing says which configuration to train",
            cli=f"Name --preset NAME ({', '.join(preset_names())}), --config FILE, --resume RUN_ID or "
            "--init-from CHECKPOINT",
        )
    source = f"preset {name}" if name else str(file or init_from)
    mapping = preset(name) if name else read_mapping(file) if file else config_beginning_with(root, str(init_from))
    return override(mapping, changes), source


def fresh(
    root: Root, config: TrainConfig, run_id: str | None, data: Path, device: str, init_from: str | None
) -> TrainingPlan:
    """A new run. Raises UsageError when `run_id` has checkpoints already, DeviceError, DataError."""
    target = resolve(device)
    if not gate.is_folder(data):
        raise DataError(
            f"{data}: there is no such folder",
            cli="Name the folder of a dataset with --data",
            page="Choose another dataset, or add it on the Data page",
        )
    weights = find_checkpoint(root, init_from) if init_from else None
    if weights is not None:
        _check_shapes(config, weights)
    if run_id is None:
        run_id = reserve_run_id(root, config.name)
    elif has_checkpoint(root, run_id):
        raise _exists_already(root, run_id)
    return TrainingPlan(
        run_id, config, data, target, False, weights.path if weights else None, str(weights) if weights else None
    )


def _exists_already(root: Root, run_id: str) -> UsageError:
    message = f"run {run_id!r} exists already"
    if not can_resume(root, run_id):
        return UsageError(
            message,
            cli=f"To go on from it: train --data DIR --init-from {run_id}; for a new run choose another --run-id",
            page="To go on from it: Train, Start from weights",
        )
    status = read_status(root.run(run_id))
    finished = status is not None and status.state == "finished"
    return UsageError(
        message,
        cli=f"To go on from it: train --resume {run_id}"
        + (f" --set num_epochs={status.epoch + 1}" if status and finished else "")
        + "; for a new run choose another --run-id",
        page="To go on from it: Train, Resume",
    )


def resumed(root: Root, run_id: str, changes: Iterable[str], data: Path | None, device: str) -> TrainingPlan:
    """A run that goes on from what it saved last, with `changes` where they are allowed.

    Raises UsageError for a run that cannot be resumed or a change that would make it another run, CheckpointError
    when all that it saved is damaged.
    """
    file = root.run(run_id) / "config.yaml"
    known_run(root, run_id)
    if not can_resume(root, run_id) or not file.is_file():
        raise _nothing_to_resume(root, run_id)
    before = parse(read_mapping(file), str(file))
    after = parse(override(before.model_dump(), changes), f"run {run_id}")
    check_resume(run_id, file, before, after)
    _check_epochs_left(root, run_id, after)
    origin = read_provenance(root, run_id)
    if data is None and origin is None:
        raise UsageError(
            f"run {run_id!r} does not say what it was trained on",
            cli="Name its dataset with --data",
            page="Say it on Train, Resume",
        )
    folder = data or (find_dataset(root, origin).source if origin else Path())
    fingerprint = origin.fingerprint if origin else _saved_fingerprint(root, run_id)
    return TrainingPlan(run_id, after, folder, resolve(device), resume=True, fingerprint=fingerprint)


def _saved_fingerprint(root: Root, run_id: str) -> str | None:
    """The fingerprint of the data in what the run saved last; None where that does not say it."""
    saved = newest_saved(root.model(run_id))
    info = saved.content.info
    dataset = None if info is None else info_from(info, saved.path).dataset
    return dataset["fingerprint"] if dataset else None


def _nothing_to_resume(root: Root, run_id: str) -> UsageError:
    """What to say of a run that has no last.pt, or no configuration."""
    if has_checkpoint(root, run_id):
        return UsageError(
            f"run {run_id!r} cannot be resumed: it has no {'config.yaml' if can_resume(root, run_id) else 'last.pt'}",
            cli=f"Start a new run from its weights: train --init-from {run_id} --data DIR",
            page="Start a new run from its weights: Train, Start from weights",
        )
    file = root.run(run_id) / "config.yaml"
    if not file.is_file():
        return UsageError(
            f"run {run_id!r} cannot be resumed: it never saved anything, nor what it was to be trained with",
            cli="Start a new run: train --preset NAME --data DIR",
            page="Start a new run: Train, New run",
        )
    return UsageError(
        f"run {run_id!r} cannot be resumed: it never saved anything",
        cli=f"Start it again: train --config {in_shell(file)} --data DIR --run-id {run_id}",
        page="Start it again: Train, Resume",
    )


def _check_epochs_left(root: Root, run_id: str, config: TrainConfig) -> None:
    """Raises UsageError where the run has been trained as far as is asked for, or further."""
    position = newest_saved(root.model(run_id)).content.position
    epoch = position.epoch
    done = epoch + (1 if position.step else 0)
    status = read_status(root.run(run_id))
    finished = status is not None and status.state == "finished"
    if config.num_epochs < done or (finished and config.num_epochs == epoch):
        raise UsageError(
            f"num_epochs = {config.num_epochs}, but run {run_id!r} has trained {_epochs(done)} already; to train on, "
            f"ask for {done + 1} or more",
            cli=f"Add --set num_epochs={done + 1}",
        )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def carry_out(root: Root, plan: TrainingPlan, arguments: list[str]) -> Outcome:
    """Train as planned, once the device is free. Raises RecformerError; the status says why, once it is claimed."""
    try:
        dataset = load_dataset(plan.data, root.data / ".cache")
    except RecformerError:
        with suppress(OSError):
            root.run(plan.run_id).rmdir()  # the folder reserved for it; one that holds anything stays
        raise
    if (question := unanswered(dataset.repeats, dataset.num_interactions, plan.data)) is not None:
        print(f"warning: {question}", file=sys.stderr, flush=True)
    if plan.fingerprint not in (None, dataset.fingerprint):
        raise DataError(
            f"run {plan.run_id!r} was trained on data with fingerprint {plan.fingerprint}, {plan.data} has "
            f"{dataset.fingerprint}: going on with it would be another run. Put back the files it began "
            "with",
            cli="Or say where they are: --data DIR",
        )
    if not plan.resume and not any(argument.startswith("--run-id") for argument in arguments):
        arguments = [*arguments, "--run-id", plan.run_id]
    enter_queue(root, plan.run_id, arguments, str(plan.device))
    if not plan.resume:
        # While it waits its name is shown; should it never begin, these say what to start again with.
        write_text(root.run(plan.run_id) / "config.yaml", dump(plan.config))
        write_provenance(root, plan.run_id, _origin(root, plan, dataset))
        with suppress(StoreError):  # a colour is no reason not to train
            give_colour(root, plan.run_id)
    await_turn(root, plan.run_id, arguments)
    return fit(
        root,
        plan.run_id,
        plan.config,
        lambda: _prepare(dataset, plan.config),
        _origin(root, plan, dataset),
        plan.device,
        arguments=arguments,
        resume=plan.resume,
        init_from=plan.init_from,
    )


def tell_failure(root: Root, run_id: str | None, device: str, error: RecformerError) -> None:
    """Say in the status of a run why it never began, where this process was launched to train it.

    Whoever launched it sees no standard error. A run that was claimed has said so itself.
    """
    if run_id is None or not RUN_ID.fullmatch(run_id) or not root.run(run_id).is_dir():
        return
    with suppress(RecformerError):  # a disk that refuses this too must not hide `error`
        _write_failure(root.run(run_id), device, error)


def _write_failure(folder: Path, device: str, error: RecformerError) -> None:
    with record_lock(folder):
        job, status = read_job(folder), read_status(folder)
    if job is None or job.pid != os.getpid() or (status is not None and status.launch == job.launch):
        return
    now = time.time()
    if status is None:
        status = Status(
            state="failed", epoch=0, num_epochs=0, step=0, steps=0, device=device, time=now, progress_time=now
        )
    changes = {
        "launch": job.launch,
        "state": "failed",
        "phase": "",
        "eta_s": None,
        "time": now,
        "message": error.on_page,
    }
    write_status(folder, status.model_copy(update=changes))


def _check_shapes(config: TrainConfig, weights: CheckpointRef) -> None:
    """Raises UsageError naming each model option that the shapes of the weights contradict."""
    state = read_state(weights.path)
    infer_info(weights.path, state, {})  # says so where the weights are of no known model
    shapes = MODELS.get(config.model.name).shape_from(state)[0]
    asked = config.model.model_dump(mode="json")
    wrong = [key for key in shapes if asked[key] != shapes[key]]
    if wrong:
        faults = "; ".join(f"model.{key} = {asked[key]} does not fit the weights ({shapes[key]})" for key in wrong)
        raise UsageError(f"{weights}: {faults}. Leave it as the weights have it")


def _prepare(dataset: Dataset, config: TrainConfig) -> Prepared:
    return prepare(dataset, config.window, config.split)


def _origin(root: Root, plan: TrainingPlan, dataset: Dataset) -> Provenance:
    before = read_provenance(root, plan.run_id) if plan.resume else None
    began_with = before.init_from if before else plan.init_name
    path = portable_path(root, dataset.source)
    return Provenance(dataset.name, dataset.fingerprint, path, began_with, code_commit())


def config_beginning_with(root: Root, checkpoint: str) -> dict[str, Any]:
    """The mapping of a run that begins with a checkpoint: its run's (else the baseline's), with its architecture.

    Raises UsageError when there is no such checkpoint, CheckpointError when it is damaged.
    """
    ref = find_checkpoint(root, checkpoint)
    mapping = preset("baseline")
    if ref.run_id is not None and (file := root.run(ref.run_id) / "config.yaml").is_file():
        mapping |= read_mapping(file)
    try:
        return config_from_weights(mapping, ref.path) | {"name": f"{mapping['name']} continued"}
    except ValueError as error:
        raise CheckpointError(f"{ref}: its record is damaged: {error}") from None
