"""Evaluate models under one protocol, taking from the rank store what is there."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from recformer.config import Options, parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.splits.split import Part
from recformer.errors import CheckpointError, DataError, EvaluationError
from recformer.evaluation.facts import Facts, facts_of
from recformer.evaluation.protocol import Protocol, protocol_of
from recformer.evaluation.rank_store import Shelf, shelf_of, store_ranks, stored_ranks
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import Progress, Ranks
from recformer.evaluation.summary import Evaluation
from recformer.store import CheckpointRef, Root
from recformer.training.device import resolve
from recformer.weights import CheckpointInfo, load, read_info


@dataclass(frozen=True)
class Task:
    """What to evaluate on: dataset, split, part and window."""

    dataset: Dataset
    split: Options
    part: Part = "test"
    window: int | None = None
    """Latest items that count as the input window, and that a case must have before it; None: as many as the model's
    input has. Models with windows of different sizes are compared under the largest."""


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
    not numbers or a window smaller than the model's.
    """
    shelf = shelf_of(root, checkpoint)
    info = read_info(checkpoint.path)
    check_fit(info, task.dataset, checkpoint)
    prepared = prepared_for(task, checked_window(task, info, str(checkpoint)))

    def compute() -> Ranks:
        model, _ = load(checkpoint.path, info)
        place = device or resolve("auto")
        return rank_cases(model.to(place), prepared, prepared.split.rows(task.part), place, progress, info.shape.window)

    protocol = protocol_of(prepared, task.split, task.part)
    return Evaluation(
        run=checkpoint.run_id or checkpoint.path.stem,
        checkpoint=checkpoint.name,
        protocol=protocol,
        seeds=(stored_or_computed(shelf, protocol, compute),),
        facts=facts_for(task, prepared.windows.size),
        trained_on=_trained_on(info, task, prepared),
        commit=info.commit,
    )


def stored_or_computed(shelf: Shelf | None, protocol: Protocol, compute: Callable[[], Ranks]) -> Ranks:
    """The ranks on the shelf, or what `compute` gives, which is then kept there."""
    ranks = None if shelf is None else stored_ranks(shelf, protocol)
    if ranks is None:
        ranks = compute()
        if shelf is not None:
            store_ranks(shelf, protocol, ranks)
    return ranks


def checked_window(task: Task, info: CheckpointInfo, what: str) -> int:
    """The window to evaluate under. Raises EvaluationError when the model needs a longer one."""
    own = info.shape.window
    if task.window is not None and task.window < own:
        raise EvaluationError(
            f"{what} reads the latest {own} items, so it cannot be evaluated under a window of {task.window}: "
            f"use {own} or more (--window {own})"
        )
    return task.window or own


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
    cases = prepared.windows.target_positions(prepared.split.rows(task.part))
    return int(np.isin(cases, training.windows.target_positions(training.split.train)).sum())


def prepared_for(task: Task, window: int) -> Prepared:
    """The task's windows and split, kept for the next call."""
    return _prepared(task.dataset, window, task.split)


def _prepared(dataset: Dataset, window: int, split: Options) -> Prepared:
    return _cached_prepared(dataset, window, split.model_dump_json())


@lru_cache(maxsize=4)
def _cached_prepared(dataset: Dataset, window: int, split: str) -> Prepared:
    return prepare(dataset, window, parse_section("split", json.loads(split)))


def facts_for(task: Task, window: int) -> Facts:
    """Facts of the task's cases, kept for the next call."""
    return _cached_facts(prepared_for(task, window), task.part)


@lru_cache(maxsize=4)
def _cached_facts(prepared: Prepared, part: Part) -> Facts:
    return facts_of(prepared, prepared.split.rows(part))
