"""Baselines as models to evaluate: how they are named, ranked, and where their ranks are kept."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.errors import UsageError
from recformer.evaluation.ranks import Progress, Ranks, batches, concatenate
from recformer.evaluation.store import StoreKey
from recformer.model import baseline
from recformer.model.baseline.counts import Baseline
from recformer.registry import BASELINES
from recformer.run.paths import CheckpointRef, Root, find_checkpoint

PREFIX = "baseline:"
BATCH = 1024  # scores of 1024 × 60,000 float32 are 246 MB


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


def all_baselines() -> list[str]:
    """The names of all baselines, as they stand in every first comparison."""
    return [PREFIX + name for name in BASELINES.names()]


def find_model(root: Root, text: str) -> CheckpointRef | BaselineRef:
    """The model called `text`: RUN, RUN/best, RUN/last, a checkpoint file, or baseline:NAME. Raises UsageError."""
    if not is_baseline(text):
        return find_checkpoint(root, text)
    name = text.removeprefix(PREFIX)
    if name not in BASELINES.names():
        allowed = ", ".join(PREFIX + known for known in BASELINES.names())
        raise UsageError(f"there is no baseline {text!r}; allowed: {allowed}")
    return BaselineRef(name)


def baseline_store_key(root: Root, ref: BaselineRef) -> StoreKey:
    """Where a baseline's ranks are kept; they are of the present source, so that a changed one is computed anew."""
    return StoreKey(root.runs / ".baselines", ref.name, _source_digest())


@cache
def _source_digest() -> str:
    """16 hex digits over the source of all baselines and of what they share."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(baseline.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def rank_baseline(name: str, prepared: Prepared, rows: NDArray[np.int64], progress: Progress | None = None) -> Ranks:
    """Ranks of the cases `rows` (B,) by the baseline `name`, counted from the training part of the same split.

    Raises UsageError when there is no such baseline.
    """
    import torch  # what is stored is read without

    from recformer.evaluation.ranker import rank_batch

    scorer: Baseline = BASELINES.get(name)(prepared)
    parts: list[Ranks] = []
    for batch in batches(rows, BATCH):
        scores = torch.from_numpy(scorer.scores(batch))
        items_only, targets = prepared.split.item_set == "items", prepared.split.targets_of(batch)
        parts.append(rank_batch(scores, prepared.windows, batch, items_only, targets))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)
