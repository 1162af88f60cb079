"""Made-up evaluations: ranks and lists drawn at random for given users and targets, without any model."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from recformer.data.categories import categories_of
from recformer.data.split.base import Part
from recformer.evaluation.cases import Facts, Known
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import MAX_K, Ranks
from recformer.evaluation.table import Evaluation
from recformer.metric.lists import Catalogue, category_bits
from recformer.registry import CATEGORY_METRICS, LIST_METRICS
from recformer.run.model_ref import ModelRef

NUM_ITEMS = 40
USERS = np.repeat(np.arange(30), 2)


def genre_bits(genres: Sequence[list[str]]) -> dict[str, np.ndarray]:
    """A catalogue's categories, of one column called genre: a list of genres an item."""
    return {"genre": category_bits(categories_of(pd.Series(genres, dtype=object)), len(genres))}


def list_metric_names() -> list[str]:
    """All metrics of lists, with those of the categories in the column genre."""
    return sorted([*LIST_METRICS.names(), *(f"{name}/genre" for name in CATEGORY_METRICS.names())])


def list_metric(name: str) -> Callable[..., np.ndarray]:
    """The metric of `list_metric_names` called `name`: (Lists, k) → (N,)."""
    family, _, column = name.partition("/")
    return partial(CATEGORY_METRICS.get(family), column=column) if column == "genre" else LIST_METRICS.get(name)


def made_up_ranks(
    seed: int,
    users: np.ndarray = USERS,
    targets: np.ndarray | None = None,
    shift: int = 0,
) -> Ranks:
    """Ranks from 1 to 29, made better by `shift`, and lists of any of 40 items; one row a user of `users`."""
    draw, count = np.random.default_rng(seed), len(users)
    ranks = [np.maximum(draw.integers(1, 30, count) - shift, 1).astype(np.int32) for _ in range(3)]
    tops = [np.stack([draw.permutation(NUM_ITEMS)[:MAX_K] for _ in range(count)]).astype(np.int32) for _ in range(3)]
    repeats = [(draw.random((count, MAX_K)) < share).cumsum(axis=1).astype(np.uint8) for share in (0.1, 0.3, 0.2)]
    aims = np.zeros(count) if targets is None else targets
    return Ranks(users.astype(np.int32), aims.astype(np.int32), *ranks, *repeats, *tops)


def made_up_facts(count: int = len(USERS)) -> Facts:
    genres = genre_bits([[f"genre {item % 5}"] for item in range(NUM_ITEMS)])
    return Facts(Catalogue(np.arange(NUM_ITEMS), 30, genres), np.full(count, 9), np.full(count, 9))


def evaluation_of(
    ranks: Ranks, run: str = "run", facts: Facts | None = None, trained_on: int | None = 0, part: Part = "test"
) -> Evaluation:
    """What a model called `run` would have had to give these ranks."""
    protocol = Protocol("made up", "0" * 16, {"name": "leave_last_out"}, part, len(ranks), "0" * 16, 0, 3, "items")
    return Evaluation(
        ModelRef("best", run, Path("best.safetensors")),
        protocol,
        (ranks,),
        facts or made_up_facts(len(ranks)),
        Known(trained_on, trained_on),
    )
