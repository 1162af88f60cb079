"""How fast the article's model trains on a CUDA device, against the way the article trains it.

    python -m benchmarks.gpu --data data/ml-1m

The reference is that of `benchmarks.training`, its batches moved to the device one by one. Ours has the data on the
device and asks it for nothing within an epoch. Each way to compute a step is tried: eager, TF32 products, bfloat16, and
torch.compile with CUDA graphs; then each trains an epoch, to show whether its metrics hold. The floor is the bytes of a
step's logits, written once and read three times (softmax, loss, gradient), over the measured bandwidth of the device.
Prints a line for each figure (median, lowest and highest repeat), then all as JSON; ends with code 1 where a target was
missed, and with a word where there is no such device.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.training import Rows, adam, endless, reference_model, reference_step
from recformer.config import TrainConfig, parse, preset
from recformer.data.prepared import Prepared, prepare
from recformer.training.initialisation import new_model
from recformer.training.loop import validate
from recformer.training.window_batches import WindowBatches, training_cases

BATCH_SIZES, TIMES_FASTER = (512, 4096), 4.0
REPEATS, SECONDS, WARM_UP_STEPS = 5, 2.0, 5
FLOATS = 2**28  # of the copy that measures the bandwidth


@dataclass(frozen=True)
class Way:
    """A model and endless training steps of it, each with its loss and how many windows it had."""

    model: nn.Module
    steps: Iterator[tuple[Tensor, int]]


def main() -> None:
    folder = folder_asked_for(__doc__)
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device on this machine")
    dataset = parsed(folder)
    figures = list[Figure]()
    for batch_size in BATCH_SIZES:
        config = parse(preset("baseline") | {"batch_size": batch_size})
        figures += measured(config, prepare(dataset, config.split), torch.device("cuda"))
    report(figures)


def measured(config: TrainConfig, prepared: Prepared, device: torch.device) -> list[Figure]:
    """Every way in turn, so that what disturbs the machine disturbs all."""
    ways = {
        "row by row, eager steps": reference(config, prepared, device),
        "data on the device, eager": ours(config, prepared, device),
        "data on the device, TF32": ours(config, prepared, device, precision="high"),
        "data on the device, bfloat16": ours(config, prepared, device, bfloat16=True),
        "data on the device, CUDA graphs": ours(config, prepared, device, compiled=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            rates[name].append(windows_per_s(way, device))
    slowest, *others = rates
    label = f"batch {config.batch_size}: "
    figures = [Figure.of(label + name, values, "windows/s") for name, values in rates.items()]
    for name in others:
        ratios = [one / other for one, other in zip(rates[name], rates[slowest], strict=True)]
        target = TIMES_FASTER if name.endswith("eager") else None
        figures.append(Figure.of(f"{label}{name}, times the reference", ratios, "x", at_least=target))
    for name in others:
        ndcg = quality(ways[name], config, prepared, device)
        figures.append(Figure.of(f"{label}{name}, validation NDCG@10 an epoch later", [ndcg], ""))
    return [*figures, Figure.of(f"{label}floor", [floor(prepared, device)], "windows/s")]


def reference(config: TrainConfig, prepared: Prepared, device: torch.device) -> Way:
    """The article's way: rows one by one, batches moved to the device."""
    model = reference_model(new_model(config, prepared).train()).to(device)
    optimizer = adam(model, config)
    loader = DataLoader(Rows(config, prepared), batch_size=config.batch_size, shuffle=True)

    def steps() -> Iterator[tuple[Tensor, int]]:
        while True:
            for batch in loader:
                window, users, targets = (part.to(device) for part in batch)
                yield reference_step(model, optimizer, window, users, targets), len(targets)

    return Way(model, steps())


def ours(
    config: TrainConfig,
    prepared: Prepared,
    device: torch.device,
    precision: str = "highest",
    bfloat16: bool = False,
    compiled: bool = False,
) -> Way:
    """The loop's own steps in one of the ways, without what it tells and saves."""
    model, batches = new_model(config, prepared).train().to(device), WindowBatches(prepared, config, device)
    optimizer = adam(model, config, fused=True)
    forward: Callable[[Tensor, Tensor], Tensor] = torch.compile(model, mode="reduce-overhead") if compiled else model

    def steps() -> Iterator[tuple[Tensor, int]]:
        for batch in endless(batches):
            if len(batch) < config.batch_size:
                continue  # another size would be compiled anew
            torch.set_float32_matmul_precision(precision)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                loss = torch.nn.functional.cross_entropy(forward(batch.seen.window, batch.seen.users), batch.targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            yield loss.detach(), len(batch)

    return Way(model, steps())


def windows_per_s(way: Way, device: torch.device) -> float:
    """The device is waited for at the beginning and the end alone."""
    for _ in range(WARM_UP_STEPS):
        next(way.steps)
    wait_for(device)
    windows, begin = 0, time.perf_counter()
    for _, count in way.steps:
        windows += count
        if time.perf_counter() - begin > SECONDS:
            break
    wait_for(device)
    return windows / (time.perf_counter() - begin)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def quality(way: Way, config: TrainConfig, prepared: Prepared, device: torch.device) -> float:
    """Validation NDCG@10 after as many more windows as an epoch has."""
    left = len(training_cases(config, prepared))
    for _, count in way.steps:
        left -= count
        if left <= 0:
            break
    validated = validate(way.model, prepared, config, device)
    assert validated is not None
    return validated[1]["metric/ndcg@10"]


def floor(prepared: Prepared, device: torch.device) -> float:
    """Windows a second that the device's bandwidth allows for their logits."""
    source = torch.ones(FLOATS, device=device)
    target = torch.empty_like(source)
    seconds = list[float]()
    for _ in range(7):
        wait_for(device)
        begin = time.perf_counter()
        target.copy_(source)
        wait_for(device)
        seconds.append(time.perf_counter() - begin)
    bandwidth = 2 * source.nbytes / min(seconds)
    return bandwidth / (4 * 4 * prepared.histories.num_tokens)


if __name__ == "__main__":
    main()
