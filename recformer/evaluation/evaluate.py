"""Evaluate models under one protocol, taking from the rank store what is there."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import read_info
from recformer.config import Options, describe_limits, parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.errors import CheckpointError, EvaluationError, NotNumbersError, RecformerError, StoreError, UsageError
from recformer.evaluation.baselines import BaselineRef, baseline_store_key, find_model, is_baseline, rank_baseline
from recformer.evaluation.dataset_check import check_fit, knows_its_data
from recformer.evaluation.facts import Facts, facts_of
from recformer.evaluation.protocol import protocol_of
from recformer.evaluation.ranks import Progress, Ranks
from recformer.evaluation.store import StoreKey, store_key_of, store_ranks, stored_ranks
from recformer.evaluation.table import Evaluation
from recformer.evaluation.trained_on import cases_trained_on
from recformer.registry import SPLITS
from recformer.run.paths import CheckpointRef, Root

if TYPE_CHECKING:
    import torch

DEFAULT_WINDOW = 5  # the article's; where only baselines are evaluated


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


def split_of(name: str, time_ties: str = "file") -> Options:
    """The split called `name` with ties in time broken so. Raises UsageError naming what the split allows."""
    options = SPLITS.get(name).Options
    try:
        return options(name=name) if time_ties == "file" else options(name=name, time_ties=time_ties)
    except ValidationError:
        allowed = describe_limits(options.model_fields["time_ties"]) if "time_ties" in options.model_fields else "file"
        raise UsageError(f"ties in time by {time_ties!r} cannot be under {name}; allowed there: {allowed}") from None


@dataclass(frozen=True, eq=False)
class Pending:
    """An evaluation that is laid down in everything but its ranks, which are stored or have to be computed."""

    empty: Evaluation
    """The evaluation without ranks."""
    store_key: StoreKey | None
    rank: "Callable[[torch.device | None, Progress | None], Ranks]"

    @property
    def key(self) -> str:
        """Equal for the same state of the same model under the same protocol."""
        key = self.store_key
        place = f"{key.folder}/{key.name} {key.digest}" if key else self.empty.run
        return f"{place} {self.empty.protocol.key}"

    def stored(self) -> Evaluation | None:
        """The evaluation from the rank store; None where it has to be computed."""
        ranks = None if self.store_key is None else stored_ranks(self.store_key, self.empty.protocol)
        return None if ranks is None else replace(self.empty, seeds=(ranks,))

    def computed(self, device: "torch.device | None" = None, progress: Progress | None = None) -> Evaluation:
        """The evaluation computed and kept in the rank store, which takes seconds to minutes."""
        ranks = self.rank(device, progress)
        not_kept = ""
        if self.store_key is not None:
            try:
                store_ranks(self.store_key, self.empty.protocol, ranks)
            except StoreError as error:  # a disk that refuses takes nothing from what is computed
                not_kept = str(error)
        return replace(self.empty, seeds=(ranks,), not_kept=not_kept)


def evaluate(
    root: Root,
    model: CheckpointRef | BaselineRef,
    task: Task,
    device: "torch.device | None" = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ranks of a model on every case, computed once and then read from the rank store.

    Raises CheckpointError, DataError when the model does not fit the dataset, EvaluationError for scores that are
    not numbers or a window smaller than the model's.
    """
    wanted = pending(root, model, task)
    return wanted.stored() or wanted.computed(device, progress)


def pending(root: Root, model: CheckpointRef | BaselineRef, task: Task) -> Pending:
    """What evaluating a model means, without computing anything. Raises as `evaluate` does."""
    return _of_baseline(root, model, task) if isinstance(model, BaselineRef) else _of_checkpoint(root, model, task)


def _of_checkpoint(root: Root, checkpoint: CheckpointRef, task: Task) -> Pending:
    store_key = store_key_of(root, checkpoint)
    info = read_info(checkpoint.path)
    check_fit(root, info, task.dataset, checkpoint)
    prepared = prepared_for(task, checked_window(task, info, str(checkpoint)))

    def rank(device: "torch.device | None", progress: Progress | None) -> Ranks:
        from recformer.checkpoint.load import load
        from recformer.evaluation.ranker import rank_cases  # loads torch: what is stored is read without
        from recformer.model.device import resolve

        model, _ = load(checkpoint.path, info)
        place = device or resolve("auto")
        cases = prepared.split.rows(task.part)
        try:
            return rank_cases(model.to(place), prepared, cases, place, progress, info.shape.window)
        except NotNumbersError:
            raise NotNumbersError(str(checkpoint)) from None

    run = checkpoint.run_id or checkpoint.path.stem
    trained_on = _trained_on(info, task, prepared)
    empty = _without_ranks(run, checkpoint.name, task, prepared, trained_on, info.commit)
    return Pending(replace(empty, data_known=knows_its_data(root, info, checkpoint)), store_key, rank)


def pending_all(root: Root, names: Sequence[str], task: Task) -> list[Pending | RecformerError]:
    """What evaluating each of the models called `names` means, or why it cannot be done.

    A baseline has no window of its own and takes the largest of the others'.
    """
    found = {name: _try(root, name, task) for name in names if not is_baseline(name)}
    windows = [entry.empty.protocol.window for entry in found.values() if isinstance(entry, Pending)]
    for_baselines = replace(task, window=task.window or max(windows, default=None))
    return [found[name] if name in found else _try(root, name, for_baselines) for name in names]


def _try(root: Root, name: str, task: Task) -> Pending | RecformerError:
    try:
        return pending(root, find_model(root, name), task)
    except RecformerError as error:
        return error


def _of_baseline(root: Root, baseline: BaselineRef, task: Task) -> Pending:
    prepared = prepared_for(task, task.window or DEFAULT_WINDOW)

    def rank(_: "torch.device | None", progress: Progress | None) -> Ranks:
        return rank_baseline(baseline.name, prepared, prepared.split.rows(task.part), progress)

    empty = _without_ranks(str(baseline), "baseline", task, prepared, 0, "")
    return Pending(empty, baseline_store_key(root, baseline), rank)


def _without_ranks(
    run: str, checkpoint: str, task: Task, prepared: Prepared, trained_on: int | None, commit: str
) -> Evaluation:
    protocol = protocol_of(prepared, task.split, task.part)
    return Evaluation(run, checkpoint, protocol, (), facts_for(task, prepared.windows.size), trained_on, commit)


def checked_window(task: Task, info: CheckpointInfo, what: str) -> int:
    """The window to evaluate under. Raises EvaluationError when the model needs a longer one."""
    own = info.shape.window
    if task.window is not None and task.window < own:
        raise EvaluationError(
            f"{what} reads the latest {own} items, so it cannot be evaluated under a window of {task.window}: "
            f"use {own} or more",
            cli=f"Add --window {own}",
            page="Let each have its own window, by the button above",
        )
    return task.window or own


def _trained_on(info: CheckpointInfo, task: Task, prepared: Prepared) -> int | None:
    """How many of the cases were training targets; None where the training split is not known."""
    if info.split is None or info.imported:
        return None
    try:
        training = _prepared(task.dataset, info.shape.window, parse_section("split", info.split))
    except ValueError as error:
        raise CheckpointError(f"the split in the checkpoint's record is damaged: {error}") from None
    return cases_trained_on(prepared, task.part, training)


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
