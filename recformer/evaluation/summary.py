"""From ranks to the numbers that are shown: means with intervals, differences to a baseline, one JSON shape."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recformer.errors import EvaluationError, UsageError
from recformer.evaluation.protocol import Protocol, require_same
from recformer.evaluation.ranks import MASKINGS, MAX_K, Masking, Ranks
from recformer.metric.bootstrap import bootstrap
from recformer.metric.duplication import duplication
from recformer.registry import METRICS

DUPLICATIONS: tuple[Literal["window", "history"], ...] = ("window", "history")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The ranks of one checkpoint under one protocol."""

    run: str
    """Run id, or the file's name."""
    checkpoint: str
    """best, last, or the file's name."""
    protocol: Protocol
    ranks: Ranks
    trained_on: int | None
    """Cases of the protocol that the model was trained on; None where nobody knows (an imported file)."""
    commit: str = ""
    """Commit of the code that trained it."""


def checked_cutoffs(cutoffs: list[int]) -> list[int]:
    """Sorted, distinct cutoffs. Raises UsageError for one outside of 1 to 20."""
    wrong = [k for k in cutoffs if not 1 <= k <= MAX_K]
    if wrong or not cutoffs:
        raise UsageError(f"k = {wrong[0] if wrong else 'nothing'} is not allowed: use whole numbers from 1 to {MAX_K}")
    return sorted(set(cutoffs))


def metric_names(cutoffs: list[int]) -> list[str]:
    """Names of all quantities at these cutoffs, such as ndcg@10 and duplication/window@10."""
    names = [*METRICS.names(), *(f"duplication/{of}" for of in DUPLICATIONS)]
    return [f"{name}@{k}" for name in names for k in cutoffs]


def values(ranks: Ranks, masking: Masking, cutoffs: list[int]) -> NDArray[np.float64]:
    """(N, M) one row a case, one column a name of `metric_names`."""
    rank = ranks.rank(masking)
    columns = [METRICS.get(name)(rank, k) for name in METRICS.names() for k in cutoffs]
    columns += [duplication(ranks.repeats(of, masking), k) for of in DUPLICATIONS for k in cutoffs]
    return np.stack(columns, axis=1)


def summarise(
    evaluations: list[Evaluation],
    cutoffs: list[int],
    baseline: int | None = None,
    maskings: tuple[Masking, ...] = MASKINGS,
) -> dict[str, Any]:
    """`{"protocol", "results"}` as `evaluate --json` and `compare --format json` print it.

    Every mean has its 95% bootstrap interval over users; with `baseline` (a position in `evaluations`) the other
    models' means also have the paired difference to it. Raises EvaluationError when the protocols differ.
    """
    if not evaluations:
        raise EvaluationError("there is nothing to summarise: name at least one run or checkpoint")
    protocol = require_same([evaluation.protocol for evaluation in evaluations])
    tables = {
        masking: [values(evaluation.ranks, masking, cutoffs) for evaluation in evaluations] for masking in maskings
    }
    results = [
        _result(evaluation, position, masking, tables[masking], cutoffs, baseline)
        for position, evaluation in enumerate(evaluations)
        for masking in maskings
    ]
    return {"protocol": protocol.as_dict(), "results": results}


def _result(
    evaluation: Evaluation,
    position: int,
    masking: Masking,
    table: list[NDArray[np.float64]],
    cutoffs: list[int],
    baseline: int | None,
) -> dict[str, Any]:
    users = evaluation.ranks.user
    means = [interval.as_dict() for interval in bootstrap(table[position], users)]
    if baseline is not None and position != baseline:
        differences = bootstrap(table[position] - table[baseline], users)
        means = [mean | {"difference": d.as_dict()} for mean, d in zip(means, differences, strict=True)]
    return {
        "run": evaluation.run,
        "checkpoint": evaluation.checkpoint,
        "masking": masking,
        "cases": len(evaluation.ranks),
        "trained_on": evaluation.trained_on,
        "commit": evaluation.commit,
        "metrics": dict(zip(metric_names(cutoffs), means, strict=True)),
    }
