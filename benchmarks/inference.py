"""Whether what is said of chance is true: false alarms between recipes, and coverage of the intervals of slices.

    python -m benchmarks.inference [--data data/ml-100k] [--short]

Eight seeds of one recipe are trained (with --short four, as when all benchmarks run); whatever differs between two
groups of them is chance. Every way to put half against half is tested on seeded samples of half of the users: by sign
flips over users alone, as a tool that forgets seeds would, and with the variance between seeds. For slices, all test
users are the truth, and samples of 30 to 200 of them are groups; counted is how often the interval of the group holds
the truth. Percentile bootstrap intervals stand beside them. Prints a line for each figure, then all as JSON; ends with
code 1 where a target was missed.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figure import Figure, report
from recformer.checkpoint.load import load
from recformer.config import TrainConfig, parse, preset
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import Ranks
from recformer.metric.duplication import duplication
from recformer.registry import METRICS
from recformer.run.paths import Root
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.paired import sign_flip_p
from recformer.statistics.recipes import recipe_difference
from recformer.statistics.score_interval import score_interval
from recformer.statistics.users import UserSums
from recformer.training.request import fresh
from recformer.training.run import train

SEEDS, SHORT, EPOCHS, SAMPLES = 8, 4, 6, 12
LEVEL, HIGHEST, COVERED = 0.05, 0.07, 0.92
SIZES, DRAWS = (30, 60, 200), 2000
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/ml-100k"))
    parser.add_argument("--short", action="store_true")
    asked = parser.parse_args()
    dataset = read_dataset(asked.data)
    seeds = [values_of(ranks) for ranks in trained(dataset, SHORT if asked.short else SEEDS)]
    report([*false_alarms(seeds), *coverage(seeds[0])])


def trained(dataset: Dataset, count: int) -> Iterator[Ranks]:
    """Test ranks of each of `count` seeds of one recipe."""
    recipe = parse(preset("baseline") | {"num_epochs": EPOCHS, "name": "inference"})
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        for seed in range(count):
            config: TrainConfig = recipe.model_copy(update={"seed": seed})
            request = fresh(root, config, f"seed-{seed}", dataset, "cpu", None)
            root.run(request.run_id).mkdir(parents=True)
            train(root, request)
            model, _ = load(root.model(request.run_id) / "best.safetensors")
            prepared = prepare(dataset, config.split)
            yield rank_cases(model, prepared, prepared.split.test, config.window, CPU)


def values_of(ranks: Ranks) -> dict[str, NDArray[np.float64]]:
    """(N,) values of each case: accuracy, and duplication of the raw list."""
    values = {f"{name}@10": METRICS.get(name)(ranks.rank("history"), 10) for name in ("ndcg", "hr")}
    return values | {"duplication@10": duplication(ranks.repeats("window", "none"), 10)}


def false_alarms(seeds: list[dict[str, NDArray[np.float64]]]) -> list[Figure]:
    """Shares of tests at 5% that call one recipe different from itself."""
    found: list[Figure] = []
    for metric in seeds[0]:
        values = np.stack([seed[metric] for seed in seeds])  # (S, N)
        naive, honest = list[float](), list[float]()
        for sample in range(SAMPLES):
            users = np.random.default_rng(sample).choice(values.shape[1], values.shape[1] // 2, replace=False)
            pairs = list(halves(values[:, users]))
            naive.append(float(np.mean([sign_flip_p(sums_of(one, other))[0] < LEVEL for one, other in pairs])))
            honest.append(float(np.mean([by_recipe(one, other) < LEVEL for one, other in pairs])))
        found.append(Figure.of(f"{metric}, one recipe against itself, users alone", [float(np.mean(naive))], ""))
        rate = float(np.mean(honest))
        figure = Figure.of(f"{metric}, one recipe against itself, users and seeds", [rate], "")
        found.append(replace(figure, low=min(honest), high=max(honest), target="≤ 0.07", met=rate <= HIGHEST))
    return found


def halves(values: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Every way to put half of the seeds (S, N) against the other half."""
    everybody = set(range(len(values)))
    for chosen in itertools.combinations(range(1, len(values)), len(values) // 2 - 1):
        one = [0, *chosen]
        yield values[one], values[sorted(everybody - set(one))]


def sums_of(one: NDArray[np.float64], other: NDArray[np.float64]) -> UserSums:
    differences = (one.mean(axis=0) - other.mean(axis=0))[:, None]
    return UserSums(np.ones_like(differences), differences)


def by_recipe(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    recipes = [[UserSums(np.ones((len(seed), 1)), seed[:, None]) for seed in part] for part in (one, other)]
    return float(recipe_difference(sums_of(one, other), recipes).p[0])


def coverage(seed: dict[str, NDArray[np.float64]]) -> list[Figure]:
    """How often the interval of a group of users holds the mean over all users, for groups of several sizes."""
    found: list[Figure] = []
    for metric, size in itertools.product(("hr@10", "ndcg@10"), SIZES):
        values = seed[metric]
        draw = np.random.default_rng(size)
        groups = values[draw.integers(len(values), size=(DRAWS, size))]  # (R, n)
        low, high = score_interval(groups.mean(axis=1), (groups**2).mean(axis=1), np.full(DRAWS, float(size)))
        covered = float(np.mean((low <= values.mean()) & (values.mean() <= high)))
        found.append(Figure.of(f"{metric}, {size} users, score interval covers", [covered], "", at_least=COVERED))
        ends = [bootstrap(UserSums(np.ones((size, 1)), group[:, None]), [95])[0] for group in groups[:300]]
        inside = float(np.mean([low[0] <= values.mean() <= high[0] for low, high in ends]))
        found.append(Figure.of(f"{metric}, {size} users, percentile bootstrap covers", [inside], ""))
    return found


if __name__ == "__main__":
    main()
