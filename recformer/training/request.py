"""From the words of a command to a training: what is asked for, checked before anything is written or queued."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recformer.checkpoint.info import info_from
from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import infer_info, read_state
from recformer.config import (
    TrainConfig,
    override,
    parse,
    parse_section,
    preset,
    preset_names,
    read_mapping,
    trained_in_steps,
)
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, DataError, UsageError, count
from recformer.files import gate
from recformer.model.device import resolve
from recformer.registry import MODELS
from recformer.run.find_dataset import find_dataset
from recformer.run.job_records import read_status
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root, can_resume, has_checkpoint, known_run, reserve_run_id
from recformer.run.record import (
    FILE,
    Resumption,
    RunRecord,
    asked,
    code_commit,
    read_record,
    read_settings,
    record_file,
    run_dataset,
    settings_in,
)
from recformer.training.changes import check_resume, effective
from recformer.training.resume_state import newest_saved


@dataclass(frozen=True)
class Request:
    """One training, checked and ready to be carried out."""

    run_id: str
    record: RunRecord
    """As it is to be when training begins: what the run's folder has, with what a resume adds."""
    config: TrainConfig
    """The record's settings, checked."""
    dataset: Dataset
    device: torch.device
    new: bool = False
    """Whether the record is not on disk yet."""


def chosen_mapping(
    root: Root, name: str | None, file: Path | None, refit: str | None, init_from: str | None, changes: Iterable[str]
) -> tuple[dict[str, Any], str]:
    """The configuration of a new run, not yet checked, and where it is from.

    A preset, or a file, or that of the run it is a refit of, or of the checkpoint it begins with; then `changes`.
    Raises UsageError when it is not clear which.
    """
    given = [source for source in (name, file, refit) if source is not None]
    if len(given) > 1 or (refit and init_from):
        raise UsageError(
            "preset, configuration and refit exclude each other, and a refit begins with no other weights",
            cli="Name one of --preset, --config and --refit",
        )
    if not given and init_from is None:
        raise UsageError(
            "nothing says which configuration to train",
            cli=f"Name --preset NAME ({', '.join(preset_names())}), --config FILE, --resume RUN_ID, "
            "--refit RUN_ID or --init-from CHECKPOINT",
        )
    source = f"preset {name}" if name else str(file or init_from)
    if refit:
        return override(config_of_refit(root, refit), changes), f"refit of {refit}"
    mapping = preset(name) if name else _given(file) if file else config_beginning_with(root, str(init_from))
    return override(mapping, changes), source


def _given(file: Path) -> dict[str, Any]:
    """The configuration in a file, which may be the record of a run."""
    mapping = read_mapping(file)
    return settings_in(mapping, file) if "config" in mapping else mapping


def dataset_in(root: Root, folder: Path) -> Dataset:
    """The dataset in `folder`. Raises DataError."""
    if not gate.is_folder(folder):
        raise DataError(
            f"{folder}: there is no such folder",
            cli="Name the folder of a dataset with --data",
            page="Choose another dataset, or add it on the Data page",
        )
    return load_dataset(folder, root.data / ".cache")


def fresh(
    root: Root, config: TrainConfig, run_id: str | None, dataset: Dataset, device: str, init_from: str | None
) -> Request:
    """A new run. Raises UsageError when `run_id` has checkpoints already, DeviceError, CheckpointError."""
    target = resolve(device)
    weights = find_model(root, init_from) if init_from else None
    for part in getattr(config.model, "parts", ()):
        find_model(root, part)  # what is not there is said now, not when the run's turn has come
    if weights is not None:
        _check_shapes(config, weights)
    if run_id is None:
        run_id = reserve_run_id(root, config.name)
    elif has_checkpoint(root, run_id):
        raise _exists_already(root, run_id)
    record = asked(root, config.model_dump(mode="json"), dataset, device, str(weights) if weights else None)
    return Request(run_id, record, config, dataset, target, new=True)


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


def resumed(root: Root, run_id: str, changes: Iterable[str], data: Path | None, device: str) -> Request:
    """A run that goes on from what it saved last, or begins where it saved nothing, with allowed `changes`.

    Raises UsageError for a run that cannot go on or a change that would make it another run, CheckpointError when all
    that it saved is damaged, DataError when its data are not there.
    """
    record, saved = read_record(root.run(known_run(root, run_id))), can_resume(root, run_id)
    if record is None or not record.config or (has_checkpoint(root, run_id) and not saved):
        raise _nothing_to_resume(root, run_id)
    file = record_file(root.run(run_id))
    before = parse(record.settings, str(file))
    after = parse(override(before.model_dump(), changes), f"run {run_id}")
    check_resume(run_id, file, before, after)
    if saved:
        _check_epochs_left(root, run_id, after)
    dataset = _dataset_of(root, run_id, record, data)
    now = run_dataset(root, dataset)
    added = Resumption(
        changes={name: new for name, (_, new) in effective(before, after).items()},
        dataset=None if now == record.trained_on else now,
        device=device,
        commit=code_commit(),
    )
    if saved or added.changes or added.dataset:
        record = record.model_copy(update={"resumed": [*record.resumed, added]})
    return Request(run_id, record, after, dataset, resolve(device))


def _dataset_of(root: Root, run_id: str, record: RunRecord, data: Path | None) -> Dataset:
    """What a run goes on with, in `data` or where its record says. Raises UsageError, DataError for other data."""
    known = record.trained_on
    if data is not None:
        dataset = dataset_in(root, data)
    elif known is not None:
        dataset = find_dataset(root, known)
    else:
        raise UsageError(
            f"run {run_id!r} does not say what it was trained on",
            cli="Name its dataset with --data",
            page="Say it on Train, Resume",
        )
    fingerprint = known.fingerprint if known else _saved_fingerprint(root, run_id)
    if fingerprint and fingerprint != dataset.fingerprint:
        raise DataError(
            f"run {run_id!r} was trained on data with fingerprint {fingerprint}, {dataset.source} has "
            f"{dataset.fingerprint}: going on with it would be another run. Put back the files it began with",
            cli="Or say where they are: --data DIR",
        )
    return dataset


def _saved_fingerprint(root: Root, run_id: str) -> str | None:
    """The fingerprint of the data in what the run saved last; None where nothing says it."""
    if not can_resume(root, run_id):
        return None
    saved = newest_saved(root.model(run_id))
    info = saved.content.info
    dataset = None if info is None else info_from(info, saved.path).dataset
    return dataset["fingerprint"] if dataset else None


def _nothing_to_resume(root: Root, run_id: str) -> UsageError:
    """What to say of a run that has no last.pt beside its best checkpoint, or no record."""
    config = read_settings(root.run(run_id))
    if has_checkpoint(root, run_id) and config and not parse(config).in_steps:
        return UsageError(f"run {run_id!r} is solved at once and done: there is nothing to go on with")
    if has_checkpoint(root, run_id):
        return UsageError(
            f"run {run_id!r} cannot be resumed: it has no {FILE if can_resume(root, run_id) else 'last.pt'}",
            cli=f"Start a new run from its weights: train --init-from {run_id} --data DIR",
            page="Start a new run from its weights: Train, Start from weights",
        )
    return UsageError(
        f"run {run_id!r} cannot be resumed: it never saved anything, nor what it was to be trained with",
        cli="Start a new run: train --preset NAME --data DIR",
        page="Start a new run: Train, New run",
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
            f"num_epochs = {config.num_epochs}, but run {run_id!r} has trained {count(done, 'epoch')} already; to "
            f"train on, ask for {done + 1} or more",
            cli=f"Add --set num_epochs={done + 1}",
        )


def _check_shapes(config: TrainConfig, weights: ModelRef) -> None:
    """Raises UsageError naming each model option that the shapes of the weights contradict."""
    state = read_state(weights.path)
    infer_info(weights.path, state, {})  # says so where the weights are of no known model
    shapes = MODELS.get(config.model.name).shape_from(state)[0]
    asked = config.model.model_dump(mode="json")
    wrong = [key for key in shapes if asked[key] != shapes[key]]
    if wrong:
        faults = "; ".join(f"model.{key} = {asked[key]} does not fit the weights ({shapes[key]})" for key in wrong)
        raise UsageError(f"{weights}: {faults}. Leave it as the weights have it")


def config_of_refit(root: Root, run_id: str) -> dict[str, Any]:
    """The mapping of a run trained anew as another was: on its validation part too, for as many epochs as were best.

    Raises UsageError when there is no such run or it was not validated, CheckpointError when its record is damaged.
    """
    best = read_info(find_model(root, f"{known_run(root, run_id)}/best").path)
    settings = read_settings(root.run(run_id))
    if not settings or not best.metrics or settings.get("train_on", "train") != "train":
        raise UsageError(f"run {run_id!r} has no validation that chose its epochs: name a run that has")
    if best.model.get("name") == "blend":
        raise UsageError(
            f"{run_id!r} is a blend, which has no training of its own: refit its models, and blend those with its "
            "weights"
        )
    return settings | {
        "name": f"{settings['name']} refit",
        "num_epochs": best.epoch + (1 if best.step else 0),
        "train_on": "train_and_validation",
        "patience": 0,
        "validate_every": 1.0,
    }


def dataset_of_refit(root: Root, run_id: str) -> Dataset | None:
    """The dataset of the run that is trained anew; None where its record does not say it. Raises DataError."""
    record = read_record(root.run(known_run(root, run_id)))
    return None if record is None or record.trained_on is None else find_dataset(root, record.trained_on)


def config_beginning_with(root: Root, checkpoint: str) -> dict[str, Any]:
    """The mapping of a run that begins with a checkpoint: its run's (else the baseline's), with its architecture.

    Raises UsageError when there is no such checkpoint, CheckpointError when it is damaged.
    """
    ref = find_model(root, checkpoint)
    info = read_info(ref.path)
    if info.model["name"] in MODELS.names() and not trained_in_steps(info.model["name"]):
        raise UsageError(f"{ref} is a {info.model['name']}, which is solved at once: nothing can begin with it")
    mapping = preset("baseline") | (read_settings(root.run(ref.run_id)) if ref.run_id else {})
    try:
        model = parse_section("model", info.model).model_dump()
    except ValueError as error:
        raise CheckpointError(f"{ref}: its record is damaged: {error}") from None
    own = {"model": model, "window": info.shape.window, "initialisation": "random"}
    return mapping | own | {"name": f"{mapping['name']} continued"}
