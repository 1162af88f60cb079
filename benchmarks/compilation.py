"""What torch.compile costs and gains on a CPU: seconds until the first step, and windows a second after it, by mode.

    python -m benchmarks.compilation --data data/ml-1m

For the article's model and for shapes that the native engine does not know, each mode in turn with the eager engine.
Nothing that was compiled before is used. Takes some ten minutes, so it is not part of `make bench`; what it found, and
what the engine `auto` makes of it, is in docs/BENCHMARKS.md. Prints a line for each figure, then all as JSON.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.training import adam, endless
from recformer.config import TrainConfig, override, parse, preset
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.registry import LOSSES
from recformer.training.initialisation import new_model
from recformer.training.window_batches import WindowBatches

MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs")
SHAPES = {
    "the article's model, batch 512": [],
    "the article's model, batch 4096": ["batch_size=4096"],
    "width 40": ["model.width=40"],
    "two hidden layers of 64": ["model.hidden_sizes=[64, 64]"],
    "width 128, window 20": ["model.width=128", "window=20"],
}
REPEATS, SECONDS = 3, 3.0
CPU = torch.device("cpu")


def main() -> None:
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    dataset = parsed(folder_asked_for(__doc__))
    figures = list[Figure]()
    for name, changes in SHAPES.items():
        modes = MODES if not changes else MODES[:1]  # the others are compared where it matters, on the article's model
        for figure in measured(name, parse(override(preset("baseline"), changes)), dataset, modes):
            print(figure, flush=True)
            figures.append(figure)
    report(figures)


def measured(name: str, config: TrainConfig, dataset: Dataset, modes: tuple[str, ...]) -> Iterator[Figure]:
    """Each mode's first step, and its gain over eager steps in turn with them."""
    eager = steps(config, dataset, None)
    next(eager)
    for mode in modes:
        torch.compiler.reset()
        compiled, begin = steps(config, dataset, mode), time.perf_counter()
        next(compiled)
        yield Figure.of(f"{name}, {mode}: until the first step", [time.perf_counter() - begin])
        ratios = [rate(compiled) / rate(eager) for _ in range(REPEATS)]
        yield Figure.of(f"{name}, {mode}: times as fast as eager", ratios, "x")


def steps(config: TrainConfig, dataset: Dataset, mode: str | None) -> Iterator[int]:
    """Endless training steps, eager where `mode` is None; how many windows each had. The first compiles."""
    prepared = prepare(dataset, config.split)
    model, batches = new_model(config, prepared).train(), WindowBatches(prepared, config, CPU)
    forward: Callable[..., Tensor] = model if mode is None else torch.compile(model, fullgraph=True, mode=mode)
    optimizer, loss_of = adam(model, config, fused=True), LOSSES.get(config.loss.name)(config.loss)
    for batch in endless(batches):
        if len(batch) < config.batch_size:
            continue  # another size would be compiled anew
        loss: Any = loss_of(forward(batch.seen.window, batch.seen.users), batch.targets, batch.seen)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield len(batch)


def rate(training: Iterator[int]) -> float:
    """Windows a second."""
    begin, windows = time.perf_counter(), 0
    for count in training:
        windows += count
        if time.perf_counter() - begin > SECONDS:
            break
    return windows / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
