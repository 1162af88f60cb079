"""How fast the model of whole histories trains on MovieLens-1M, in positions a second.

    python -m benchmarks.sequence_training --data data/ml-1m [--rectools PYTHON]

Ours is the training loop's own step, at width 64, two layers and 200 places, as SASRec is usually published (learned
positions, GELU) and as the preset `strong` has it. Against it: the same step with the usual cross-entropy over whole
logits; the floor that products of matrices allow; and, where `--rectools` names the Python of an environment that has
it, RecTools' SASRec (benchmarks/rectools_sasrec.py), one epoch. Ours and its rivals take turns.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_in, parsed
from benchmarks.training import operations_per_s
from recformer.config import TrainConfig, parse, preset
from recformer.data.export import export
from recformer.data.prepared import Prepared, prepare
from recformer.files.names import PROJECT
from recformer.model.sasrec import SasRecOptions
from recformer.training.engine import build
from recformer.training.initialisation import new_model
from recformer.training.optimizer import optimizer_of
from recformer.training.sequence_batches import SequenceBatch, SequenceBatches

REPEATS, SECONDS = 3, 6.0
POSITIONS_PER_S, TIMES_RECTOOLS = 26_000, 4.0
USUAL = {"name": "sasrec", "width": 64, "num_layers": 2, "num_heads": 2, "dropout": 0.2}
CPU = torch.device("cpu")
Steps = Iterator[tuple[Tensor, int]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rectools", metavar="PYTHON", help="Python of an environment that has RecTools")
    folder, asked = folder_in(arguments)
    dataset = parsed(folder)
    usual = parse(preset("strong") | {"model": USUAL})
    strong = parse(preset("strong"))
    prepared = prepare(dataset, strong.split)
    steps = {"usual": own(usual, prepared), "strong": own(strong, prepared), "whole logits": whole(usual, prepared)}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    rivals: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        parts = export(dataset, strong.split, "csv", Path(name) / "parts")[0].parent
        for _ in range(REPEATS):
            for kind, some in steps.items():
                rates[kind].append(positions_per_s(some))
            if asked.rectools:
                rivals.append(rectools(asked.rectools, parts))
    figures = [
        Figure.of("as usually published", rates["usual"], "positions/s", at_least=POSITIONS_PER_S),
        Figure.of("the preset strong", rates["strong"], "positions/s"),
        Figure.of("as usually published, cross-entropy over whole logits", rates["whole logits"], "positions/s"),
        floor(usual, prepared),
    ]
    if rivals:
        ratios = [ours / theirs for ours, theirs in zip(rates["usual"], rivals, strict=True)]
        figures.append(Figure.of("RecTools", rivals, "positions/s"))
        figures.append(Figure.of("ours, times RecTools", ratios, "x", at_least=TIMES_RECTOOLS))
    report(figures)


def own(config: TrainConfig, prepared: Prepared) -> Steps:
    """The loop's own steps."""
    model = new_model(config, prepared).train()
    batches = SequenceBatches(prepared, config, CPU)
    built = build("eager", config, model, optimizer_of(config, model), batches.first)
    return endless(batches, built.step)


def whole(config: TrainConfig, prepared: Prepared) -> Steps:
    """Steps whose loss holds all logits of a batch at once, nothing taken out."""
    model: Any = new_model(config, prepared).train()
    optimizer = optimizer_of(config, model)

    def step(batch: SequenceBatch) -> Tensor:
        hidden = model.hidden(batch.tokens).flatten(0, 1)[batch.positions]
        logits = functional.linear(hidden, model.output_weight, model.bias)
        loss = functional.cross_entropy(logits, batch.sequences.tokens[batch.ends])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        return loss.detach()

    return endless(SequenceBatches(prepared, config, CPU), step)


def endless(batches: SequenceBatches, step: Callable[[SequenceBatch], Tensor]) -> Steps:
    epoch = 0
    while True:
        for batch in batches.epoch(epoch, 0):
            yield step(batch), len(batch)
        epoch += 1


def positions_per_s(steps: Steps) -> float:
    next(steps)  # the first fills caches
    positions, begin = 0, time.perf_counter()
    for _, count in steps:
        positions += count
        if time.perf_counter() - begin > SECONDS:
            break
    return positions / (time.perf_counter() - begin)


def floor(config: TrainConfig, prepared: Prepared) -> Figure:
    """Positions a second that the products of matrices allow, nothing else being done."""
    options = config.model
    assert isinstance(options, SasRecOptions)
    width, length = options.width, config.window
    layer = 12 * width**2 + length * width  # causal attention looks at half of the places, twice
    products = options.num_layers * layer + width * prepared.histories.num_items
    return Figure.of("floor of the usual one", [operations_per_s() / (3 * 2 * products)], "positions/s")


def rectools(python: str, parts: Path) -> float:
    """Positions a second of one epoch, as its own environment measures it."""
    script = PROJECT / "benchmarks" / "rectools_sasrec.py"
    threads = str(torch.get_num_threads())
    command = [python, "-I", str(script), str(parts), "--epochs", "1", "--threads", threads]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["positions_per_s"])


if __name__ == "__main__":
    main()
