"""Evaluate models under one protocol, taking from the rank store what is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import read_info
from recformer.config import Options, describe_limits, parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.errors import CheckpointError, EvaluationError, NotNumbersError, RecformerError, StoreError, UsageError
from recformer.evaluation.cases import cases_trained_on, facts_of
from recformer.evaluation.dataset_check import check_fit, knows_its_data
from recformer.evaluation.protocol import protocol_of
from recformer.evaluation.ranks import Progress, Ranks, batches, concatenate
from recformer.evaluation.store import StoreKey, store_key_of, store_ranks, stored_ranks
from recformer.evaluation.table import Evaluation
from recformer.model.baseline.counts import Baseline
from recformer.registry import BASELINES, SPLITS
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

if TYPE_CHECKING:
    import torch

DEFAULT_WINDOW = 5  # the article's; where only baselines are evaluated
BASELINE_BATCH = 1024  # scores of 1024 × 60,000 float32 are 246 MB


_prepared: Any = lru_cache(maxsize=4)(prepare)  # frozen options have a hash, which pyright does not see


@dataclass(frozen=True)
class Task:
    """What to evaluate on: dataset, split, part and window."""

    dataset: Dataset
    split: Options
    part: Part = "test"
    window: int | None = None
    """Latest items that count as the input window, and that a case must have before it; None: as many as the model's
    input has. Models with windows of different sizes are compared under the largest."""


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
        place = f"{key.folder}/{key.name} {key.digest}" if key else str(self.empty.model)
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
    model: ModelRef,
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


def pending(root: Root, model: ModelRef, task: Task) -> Pending:
    """What evaluating a model means, without computing anything. Raises as `evaluate` does."""
    store_key = store_key_of(root, model)
    info = None if model.is_baseline else read_info(model.path)
    if info is not None:
        check_fit(root, info, task.dataset, model)
    prepared: Prepared = _prepared(task.dataset, _checked_window(task, info, model), task.split)
    cases = prepared.split.rows(task.part)

    def rank(device: "torch.device | None", progress: Progress | None) -> Ranks:
        if info is None:
            return rank_baseline(model.name, prepared, cases, progress)
        return _rank_checkpoint(model, info, prepared, cases, device, progress)

    empty = Evaluation(
        model=model,
        protocol=protocol_of(prepared, task.split, task.part),
        seeds=(),
        facts=facts_of(prepared, task.part),
        trained_on=0 if info is None else _trained_on(info, task, prepared),
        commit="" if info is None else info.commit,
        data_known=info is None or knows_its_data(root, info, model),
    )
    return Pending(empty, store_key, rank)


def pending_all(root: Root, models: Sequence[ModelRef], task: Task) -> dict[ModelRef, Pending | RecformerError]:
    """What evaluating each of the models means, or why it cannot be done.

    A baseline has no window of its own and takes the largest of the others'.
    """
    found = {model: _try(root, model, task) for model in models if not model.is_baseline}
    windows = [entry.empty.protocol.window for entry in found.values() if isinstance(entry, Pending)]
    for_baselines = replace(task, window=task.window or max(windows, default=None))
    return {model: found[model] if model in found else _try(root, model, for_baselines) for model in models}


def _try(root: Root, model: ModelRef, task: Task) -> Pending | RecformerError:
    try:
        return pending(root, model, task)
    except RecformerError as error:
        return error


def _rank_checkpoint(
    model: ModelRef,
    info: CheckpointInfo,
    prepared: Prepared,
    cases: NDArray[np.int64],
    device: "torch.device | None",
    progress: Progress | None,
) -> Ranks:
    from recformer.checkpoint.load import load
    from recformer.evaluation.ranker import rank_cases  # loads torch: what is stored is read without
    from recformer.model.device import resolve

    network, _ = load(model.path, info)
    place = device or resolve("auto")
    try:
        return rank_cases(network.to(place), prepared, cases, place, progress, info.shape.window)
    except NotNumbersError:
        raise NotNumbersError(str(model)) from None


def rank_baseline(name: str, prepared: Prepared, rows: NDArray[np.int64], progress: Progress | None = None) -> Ranks:
    """Ranks of the cases `rows` (B,) by the baseline `name`, counted from the training part of the same split.

    Raises UsageError when there is no such baseline.
    """
    import torch

    from recformer.evaluation.ranker import rank_batch

    scorer: Baseline = BASELINES.get(name)(prepared)
    items_only = prepared.split.item_set == "items"
    parts: list[Ranks] = []
    for batch in batches(rows, BASELINE_BATCH):
        scores, targets = torch.from_numpy(scorer.scores(batch)), prepared.split.targets_of(batch)
        parts.append(rank_batch(scores, prepared.windows, batch, items_only, targets))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)


def _checked_window(task: Task, info: CheckpointInfo | None, what: ModelRef) -> int:
    """The window to evaluate under. Raises EvaluationError when the model needs a longer one."""
    if info is None:
        return task.window or DEFAULT_WINDOW
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
        training: Prepared = _prepared(task.dataset, info.shape.window, parse_section("split", info.split))
    except ValueError as error:
        raise CheckpointError(f"the split in the checkpoint's record is damaged: {error}") from None
    return cases_trained_on(prepared, task.part, training)
