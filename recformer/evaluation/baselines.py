"""Baselines as models to evaluate: how they are named, ranked, and where their ranks are kept."""

import hashlib
import inspect
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.errors import UsageError
from recformer.evaluation.rank_store import Shelf
from recformer.evaluation.ranker import BATCH, rank_batch
from recformer.evaluation.ranks import Progress, Ranks, batches, concatenate
from recformer.registry import BASELINES
from recformer.store import CheckpointRef, Root, find_checkpoint

PREFIX = "baseline:"


@dataclass(frozen=True)
class BaselineRef:
    """One of the baselines that are always there."""

    name: str
    """Its registered name."""

    def __str__(self) -> str:
        return PREFIX + self.name


def is_baseline(text: str) -> bool:
    """Whether a model's name says that it is a baseline."""
    return text.startswith(PREFIX)


def find_model(root: Root, text: str) -> CheckpointRef | BaselineRef:
    """The model called `text`: RUN, RUN/best, RUN/last, a checkpoint file, or baseline:NAME. Raises UsageError."""
    if not is_baseline(text):
        return find_checkpoint(root, text)
    name = text.removeprefix(PREFIX)
    if name not in BASELINES.names():
        allowed = ", ".join(PREFIX + known for known in BASELINES.names())
        raise UsageError(f"there is no baseline {text!r}; allowed: {allowed}")
    return BaselineRef(name)


def baseline_shelf(root: Root, baseline: BaselineRef) -> Shelf:
    """Where a baseline's ranks are kept; they are of the present source, so a changed one is computed anew."""
    source = inspect.getsource(inspect.getmodule(BASELINES.get(baseline.name)) or BASELINES.get(baseline.name))
    return Shelf(root.runs / ".baselines", baseline.name, hashlib.sha256(source.encode()).hexdigest()[:16])


def rank_baseline(name: str, prepared: Prepared, rows: NDArray[np.int64], progress: Progress | None = None) -> Ranks:
    """Ranks of the cases `rows` (N,) by the baseline called `name`, fitted on the training part of the split."""
    scorer = BASELINES.get(name)(prepared)
    items_only = prepared.split.item_set == "items"
    parts: list[Ranks] = []
    for batch in batches(rows, BATCH):
        scores = torch.from_numpy(scorer.scores(batch))
        parts.append(rank_batch(scores, prepared.windows, batch, items_only))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)
