"""Ranks of a baseline: the cases, the ties and the masking of a trained model's ranks."""

import numpy as np
import torch
from numpy.typing import NDArray

from recformer.baseline.training import Baseline
from recformer.data.prepared import Prepared
from recformer.evaluation.ranker import rank_batch
from recformer.evaluation.ranks import Progress, Ranks, batches, concatenate
from recformer.registry import BASELINES

BATCH = 1024  # scores of 1024 × 60,000 float32 are 246 MB


def rank_baseline(name: str, prepared: Prepared, rows: NDArray[np.int64], progress: Progress | None = None) -> Ranks:
    """Ranks of the cases `rows` (B,) by the baseline `name`, counted from the training part of the same split.

    Raises UsageError when there is no such baseline.
    """
    baseline: Baseline = BASELINES.get(name)(prepared)
    parts: list[Ranks] = []
    for batch in batches(rows, BATCH):
        scores = torch.from_numpy(baseline.scores(batch))
        parts.append(rank_batch(scores, prepared.windows, batch, prepared.split.item_set == "items"))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(rows))
    return concatenate(parts)
