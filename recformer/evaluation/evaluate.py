"""Evaluate checkpoints under one protocol, taking from the rank store what is there."""

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from recformer.config import Options, parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.splits.split import Part
from recformer.errors import CheckpointError, DataError
from recformer.evaluation.protocol import protocol_of
from recformer.evaluation.rank_store import digest_of, store_ranks, stored_ranks
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import Progress
from recformer.evaluation.summary import Evaluation
from recformer.store import CheckpointRef, Root
from recformer.training.device import resolve
from recformer.weights import CheckpointInfo, load, read_info


@dataclass(frozen=True)
class Task:
    """What to evaluate on: dataset, split and part."""

    dataset: Dataset
    split: Options
    part: Part = "test"


def default_split() -> Options:
    """leave_last_out, whatever the runs were trained under: its test items are nobody's training data by default."""
    return parse_section("split", "leave_last_out")


def evaluate(
    root: Root,
    checkpoint: CheckpointRef,
    task: Task,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ranks of a checkpoint's model on every case, computed once and then read from the rank store.

    Raises CheckpointError, DataError when the model does not fit the dataset, EvaluationError for scores that are
    not numbers.
    """
    info = read_info(checkpoint.path)
    check_fit(info, task.dataset, checkpoint)
    prepared = _prepared(task.dataset, info.shape.window, task.split)
    protocol = protocol_of(prepared, task.split, task.part)
    ranks = stored_ranks(root, checkpoint, protocol)
    if ranks is None:
        digest = digest_of(checkpoint.path)
        model, _ = load(checkpoint.path, info)
        device = device or resolve("auto")
        ranks = rank_cases(model.to(device), prepared, prepared.split.rows(task.part), device, progress)
        store_ranks(root, checkpoint, digest, protocol, ranks)
    return Evaluation(
        run=checkpoint.run_id or checkpoint.path.stem,
        checkpoint=checkpoint.name,
        protocol=protocol,
        ranks=ranks,
        trained_on=_trained_on(info, task, prepared),
        commit=info.commit,
    )


def check_fit(info: CheckpointInfo, dataset: Dataset, checkpoint: CheckpointRef) -> None:
    """Raises DataError when a checkpoint was not trained on this dataset, or its sizes are of another one."""
    sizes = info.shape
    if (sizes.num_tokens, sizes.num_users) != (dataset.num_items + 2, dataset.num_users):
        raise DataError(
            f"{checkpoint} knows {sizes.num_tokens - 2} movies and {sizes.num_users} users, {dataset.name} has "
            f"{dataset.num_items} and {dataset.num_users}: name the dataset it was trained on (--data)"
        )
    if info.dataset is not None and info.dataset["fingerprint"] != dataset.fingerprint:
        raise DataError(
            f"{checkpoint} was trained on {info.dataset['name']} with fingerprint {info.dataset['fingerprint']}, "
            f"{dataset.source} has {dataset.fingerprint}: the interactions differ. Name the dataset it was trained on "
            "(--data)"
        )


def _trained_on(info: CheckpointInfo, task: Task, prepared: Prepared) -> int | None:
    """How many of the cases were training targets; None where the training split is not known."""
    if info.split is None or info.imported:
        return None
    try:
        training = _prepared(task.dataset, info.shape.window, parse_section("split", info.split))
    except ValueError as error:
        raise CheckpointError(f"the split in the checkpoint's record is damaged: {error}") from None
    return int(np.isin(prepared.split.rows(task.part), training.split.train).sum())


def _prepared(dataset: Dataset, window: int, split: Options) -> Prepared:
    return _cached_prepared(dataset, window, split.model_dump_json())


@lru_cache(maxsize=4)
def _cached_prepared(dataset: Dataset, window: int, split: str) -> Prepared:
    return prepare(dataset, window, parse_section("split", json.loads(split)))
