"""One comparison from names to figures, as the command line asks for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from recformer.errors import RecformerError, UsageError
from recformer.evaluation.evaluate import Task, pending_all
from recformer.evaluation.ranks import Masking, Progress
from recformer.evaluation.seeds import join_seeds, seed_groups
from recformer.evaluation.slices import FEW, slice_intervals, slices_of
from recformer.evaluation.table import Evaluation, Result
from recformer.run.paths import Root
from recformer.run.record import read_settings


@dataclass(frozen=True)
class Request:
    """What is compared, and how."""

    names: list[str]
    task: Task
    reference: str | None = None
    """One of `names`, to which differences are taken; None for none."""
    seeds_joined: bool = False
    """Whether runs that differ in their seed alone are one model."""


@dataclass(frozen=True)
class Models:
    """What stands in a comparison: one evaluation a model, and which of them the others are compared to."""

    evaluations: list[Evaluation]
    reference: int | None


def models_of(root: Root, request: Request, device: torch.device, progress: Callable[[str], Progress | None]) -> Models:
    """Every model's evaluation, from the rank store or computed.

    Raises RecformerError for the first that fails, UsageError for an unknown reference.
    """
    if request.reference is not None and request.reference not in request.names:
        raise UsageError(f"the baseline {request.reference!r} is none of the models: {', '.join(request.names)}")
    twice = [name for name in dict.fromkeys(request.names) if request.names.count(name) > 1]
    if twice:
        raise UsageError(f"{', '.join(twice)} is named twice: name each model once")
    found: list[Evaluation] = []
    for name, entry in zip(request.names, pending_all(root, request.names, request.task), strict=True):
        if isinstance(entry, RecformerError):
            raise entry
        found.append(entry.stored() or entry.computed(device, progress(name)))
    groups = _groups(root, request, found)
    reference = None
    if request.reference is not None:
        place = request.names.index(request.reference)
        reference = next(number for number, group in enumerate(groups) if place in group)
    return Models([join_seeds([found[position] for position in group]) for group in groups], reference)


def slices(evaluations: list[Evaluation], task: Task, name: str, masking: Masking) -> list[Result]:
    """The metric `name` by history length, popularity, genre, age, gender and occupation, with counts."""
    facts = evaluations[0].facts
    if facts is None:
        return []
    found = slices_of(task.dataset, facts, evaluations[0].ranks)
    rows = slice_intervals(found, evaluations, name, masking)
    return [
        {
            "dimension": entry.dimension,
            "label": entry.label,
            "metric": name,
            "masking": masking,
            "cases": entry.cases,
            "few": entry.cases < FEW,
            "models": [
                {"run": evaluation.run, "checkpoint": evaluation.checkpoint} | interval
                for evaluation, interval in zip(evaluations, row, strict=True)
            ],
        }
        for entry, row in zip(found, rows, strict=True)
    ]


def _groups(root: Root, request: Request, evaluations: list[Evaluation]) -> list[list[int]]:
    if not request.seeds_joined:
        return [[position] for position in range(len(evaluations))]
    configs = [_config(root, evaluation.run) for evaluation in evaluations]
    return seed_groups(configs, [evaluation.checkpoint for evaluation in evaluations])


def _config(root: Root, run: str) -> dict[str, Any] | None:
    """The configuration of a run; None for baselines, files and imported runs, which have none."""
    try:
        return read_settings(root.run(run)) or None
    except UsageError:
        return None
