"""How soon a recipe is as good as the baseline is after 30 epochs: the search that the preset `fast` comes from.

    python -m benchmarks.time_to_quality --data data/ml-1m baseline batch_size=1024,learning_rate=0.01

Trains each recipe named: `baseline`, `fast`, or changes to `fast` (key=value, with commas between them), and prints
after each epoch the validation NDCG@10 (history masked) and the seconds of training and validation so far, writing and
telling left out. What was found is in docs/BENCHMARKS.md.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from recformer.config import TrainConfig, override, parse, preset
from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.training.engine import build, plan
from recformer.training.initialisation import new_model
from recformer.training.loop import validate
from recformer.training.schedule import learning_rate
from recformer.training.window_batches import WindowBatches

CPU = torch.device("cpu")
BASELINE_EPOCHS = 30


@dataclass(frozen=True)
class Reached:
    """Where a training stands after an epoch."""

    recipe: str
    epoch: int
    seconds: float
    ndcg: float
    loss: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("data/ml-1m"), help="folder of MovieLens-1M")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("recipes", nargs="+", metavar="RECIPE", help="baseline, fast, or changes to fast")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        dataset = load(asked.data, Path(name))
    for recipe in asked.recipes:
        for reached in trained(recipe, config_of(recipe, asked.seed), dataset):
            print(json.dumps(asdict(reached)), flush=True)


def config_of(recipe: str, seed: int) -> TrainConfig:
    """The configuration that a name or a list of changes stands for."""
    if recipe == "baseline":
        return parse(preset("baseline") | {"num_epochs": BASELINE_EPOCHS, "seed": seed})
    changes = [] if recipe == "fast" else recipe.split(",")
    return parse(override(preset("fast") | {"seed": seed}, changes))


def trained(recipe: str, config: TrainConfig, dataset: Dataset) -> Iterator[Reached]:
    """Where the training stands after each epoch, as the loop trains."""
    prepared = prepare(dataset, config.split)
    begin = time.perf_counter()
    model = new_model(config, prepared).train()
    seconds = time.perf_counter() - begin
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    batches = WindowBatches(prepared, config, CPU)
    step = build(plan(config, CPU).engines[0], config, model, optimizer, batches.first).step
    for epoch in range(config.num_epochs):
        begin = time.perf_counter()
        for number, batch in enumerate(batches.epoch(epoch, 0)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, epoch, number / batches.steps)
            step(batch)
        validated = validate(model, prepared, config, CPU)
        assert validated is not None
        seconds += time.perf_counter() - begin
        yield Reached(recipe, epoch + 1, round(seconds, 1), validated[1]["metric/ndcg@10"], validated[0])


if __name__ == "__main__":
    main()
