"""Baselines evaluated: their few settings chosen on the validation part, their ranks on any part."""

from functools import lru_cache

import numpy as np

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.evaluation.ranks import RECENT, Progress, Ranks, batches, concatenate
from recformer.evaluation.significance import Question, Settings
from recformer.model.baseline.counts import Baseline
from recformer.registry import BASELINES, METRICS

BATCH = 1024
MOST_CASES = 10_000  # of the validation part that choose


def rank_baseline(
    name: str, prepared: Prepared, cases: Cases, progress: Progress | None = None, recent: int = RECENT
) -> tuple[Ranks, Settings]:
    """Ranks of cases by the baseline `name`, counted from the training part of the same split, and its settings.

    Raises UsageError when there is no such baseline, EvaluationError where it cannot be had for this dataset.
    """
    baseline, settings = tuned(name, prepared)
    return _ranks(baseline, settings, prepared, cases, progress, recent), settings


def chosen_on(name: str, prepared: Prepared, part: Part) -> int:
    """How many cases of a part chose the settings of a baseline: none on the test, or where there is no choice."""
    if part == "test" or len(BASELINES.get(name).GRID) == 1:
        return 0
    return int(np.isin(prepared.cases(part).ends, _choosing(prepared).ends).sum())


def _choosing(prepared: Prepared) -> Cases:
    """The cases of the validation part that choose settings."""
    validation = prepared.split.validation
    return validation[np.unique(np.linspace(0, len(validation) - 1, min(len(validation), MOST_CASES), dtype=np.int64))]


@lru_cache(maxsize=1)  # parts of one split ask for the same; a baseline may have large matrices
def tuned(name: str, prepared: Prepared) -> tuple[Baseline, Settings]:
    """A baseline, and the settings of its grid with the highest NDCG@10 on validation, the first of equal ones."""
    baseline: Baseline = BASELINES.get(name)(prepared)
    if len(baseline.GRID) == 1:
        return baseline, baseline.GRID[0]
    some = _choosing(prepared)
    return baseline, max(baseline.GRID, key=lambda settings: _validated(baseline, settings, prepared, some))


def _validated(baseline: Baseline, settings: Settings, prepared: Prepared, cases: Cases) -> float:
    question, ranks = Question(), _ranks(baseline, settings, prepared, cases)
    return float(METRICS.get(question.metric)(ranks.places("history"), question.k, ranks.num_targets).mean())


def _ranks(
    baseline: Baseline,
    settings: Settings,
    prepared: Prepared,
    cases: Cases,
    progress: Progress | None = None,
    recent: int = RECENT,
) -> Ranks:
    import torch

    from recformer.evaluation.ranker import rank_batch

    parts: list[Ranks] = []
    for batch in batches(cases, BATCH, prepared.histories.num_tokens):
        scores = torch.from_numpy(baseline.scores(batch, **settings))
        parts.append(rank_batch(scores, prepared.histories, batch, prepared.split.item_set, recent))
        if progress is not None:
            progress(sum(len(part) for part in parts), len(cases))
    return concatenate(parts)
