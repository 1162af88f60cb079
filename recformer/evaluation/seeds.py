"""Runs that differ in their seed alone are one recipe: their mean, and how far seeds move it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from recformer.evaluation.table import Evaluation

NOT_THE_RECIPE = {"seed", "name", "save_minutes", "save_steps", "engine", "compile"}


def recipe_of(config: dict[str, Any]) -> str:
    """A key that is equal for runs that differ in seed, name, saves and engine alone."""
    return json.dumps({key: value for key, value in config.items() if key not in NOT_THE_RECIPE}, sort_keys=True)


def seed_groups(configs: Sequence[dict[str, Any] | None], checkpoints: Sequence[str]) -> list[list[int]]:
    """Positions that belong together: one recipe, several seeds, the same kind of checkpoint. Order of first mention.

    `configs`: of each model, None where it has none (baselines, imported files), which stands alone. A seed that is
    there twice stands alone the second time.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    alone: list[list[int]] = []
    for position, (config, checkpoint) in enumerate(zip(configs, checkpoints, strict=True)):
        if config is None:
            alone.append([position])
            continue
        group = groups.setdefault((recipe_of(config), checkpoint), [])
        if config.get("seed") in {(configs[other] or {}).get("seed") for other in group}:
            alone.append([position])
        else:
            group.append(position)
    return sorted([*groups.values(), *alone])


def join_seeds(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Several seeds of one recipe as one model, named after the first, whose values are the mean over seeds."""
    if len(evaluations) == 1:
        return evaluations[0]
    known = [evaluation.trained_on for evaluation in evaluations if evaluation.trained_on is not None]
    return replace(
        evaluations[0],
        seeds=tuple(ranks for evaluation in evaluations for ranks in evaluation.seeds),
        trained_on=max(known) if len(known) == len(evaluations) else None,
        data_known=all(evaluation.data_known for evaluation in evaluations),
    )
