"""How fast the article's model trains on MovieLens-1M, against the way the article trains it.

    python -m benchmarks.training --data data/ml-1m

The reference is a straightforward PyTorch program: a Dataset that makes each window's tensors when it is asked for it,
a DataLoader that stacks them, attention as matrix products, and eager steps. Ours is the engine that training uses by
itself. Both train on the same windows at batch sizes 512 and 4096. Before anything is timed, both train 200 steps from
the same weights on the same batches without dropout: their losses must agree to 1e-4.

The floor is what this machine could do at best: the operations of a window over the measured rate of a large matrix
product, and the bytes that a step must move (weights, gradients and Adam's moments, once each way) over the measured
bandwidth of a copy. Prints a line for each figure (median, lowest and highest repeat), then all as JSON; ends with
code 1 where a target was missed.
"""

import copy
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from recformer.config import TrainConfig, parse, preset
from recformer.data.prepared import Prepared, prepare
from recformer.model.movie_transformer import MovieTransformer, MovieTransformerOptions
from recformer.training.engine import build, plan
from recformer.training.initialisation import new_model
from recformer.training.window_batches import WindowBatch, WindowBatches, training_cases

BATCH_SIZES, TIMES_FASTER = (512, 4096), 4.0
REPEATS, SECONDS = 5, 3.0
COMPARED_STEPS, TOLERANCE = 200, 1e-4
CPU = torch.device("cpu")


def main() -> None:
    folder = folder_asked_for(__doc__)
    dataset = parsed(folder)
    figures = list[Figure]()
    for batch_size in BATCH_SIZES:
        config = parse(preset("baseline") | {"batch_size": batch_size})
        prepared = prepare(dataset, config.split)
        figures += [same_losses(config, prepared), *speeds(config, prepared), floor(config, prepared)]
    report(figures)


class Rows(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Window, user and target of one training case at a time."""

    def __init__(self, config: TrainConfig, prepared: Prepared) -> None:
        cases = training_cases(config, prepared)
        self.windows = prepared.histories.inputs(cases, config.window)
        self.users = cases.users
        self.targets = prepared.histories.targets(cases)

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        window = torch.tensor(self.windows[index], dtype=torch.int64)
        return window, torch.tensor(int(self.users[index])), torch.tensor(int(self.targets[index]))


class PlainAttention(nn.Module):
    """Causal attention as matrix products and a softmax, with the weights of ours."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.num_heads, self.qkv, self.out = ours.num_heads, ours.qkv, ours.out
        self.dropout = nn.Dropout(ours.dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / (width // self.num_heads) ** 0.5
        later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        weights = self.dropout(scores.masked_fill(later, float("-inf")).softmax(dim=-1))
        return self.out((weights @ value).transpose(1, 2).reshape(batch, tokens, width))


def reference_model(model: MovieTransformer) -> nn.Module:
    """The same weights, with plain attention."""
    plain = copy.deepcopy(model)
    for layer in plain.movie_transformer.layers:
        layer.attention = PlainAttention(layer.attention)
    return plain


def adam(model: nn.Module, config: TrainConfig, **options: Any) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=config.learning_rate, **options)


def reference_step(
    model: nn.Module, optimizer: torch.optim.Adam, window: Tensor, users: Tensor, targets: Tensor
) -> Tensor:
    loss = functional.cross_entropy(model(window, users), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def same_losses(config: TrainConfig, prepared: Prepared) -> Figure:
    """The largest difference of two curves: ours and the reference's, from the same weights on the same batches."""
    still = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.0})})
    ours = new_model(still, prepared).train()
    reference = reference_model(ours)
    batches, optimizer = WindowBatches(prepared, still, CPU), adam(reference, still)
    step = build(plan(still, CPU).engines[0], still, ours, adam(ours, still, fused=True), batches.first).step
    differences = list[float]()
    for batch in endless(batches):
        expected = reference_step(reference, optimizer, batch.seen.window, batch.seen.users, batch.targets)
        differences.append(abs(float(step(batch)) - float(expected)))
        if len(differences) == COMPARED_STEPS:
            break
    what = f"batch {config.batch_size}: largest difference of {COMPARED_STEPS} losses without dropout"
    return Figure.of(what, [max(differences)], "nats", below=TOLERANCE)


def endless(batches: WindowBatches) -> Iterator[WindowBatch]:
    epoch = 0
    while True:
        yield from batches.epoch(epoch, 0)
        epoch += 1


def speeds(config: TrainConfig, prepared: Prepared) -> list[Figure]:
    """Reference and engines in turn, so that what disturbs the machine disturbs all."""
    plain = reference_model(new_model(config, prepared).train())
    loader = DataLoader(Rows(config, prepared), batch_size=config.batch_size, shuffle=True)
    optimizer = adam(plain, config)
    reference = ((reference_step(plain, optimizer, *batch), len(batch[2])) for _ in range(999) for batch in loader)
    engines = {name: engine_steps(name, config, prepared) for name in ("native", "eager")}
    rates: dict[str, list[float]] = {name: [] for name in ("reference", *engines)}
    for _ in range(REPEATS):
        for name, steps in {"reference": reference, **engines}.items():
            rates[name].append(windows_per_s(steps))
    label, unit = f"batch {config.batch_size}", "windows/s"
    ratios = [one / other for one, other in zip(rates["native"], rates["reference"], strict=True)]
    eager_ratios = [one / other for one, other in zip(rates["native"], rates["eager"], strict=True)]
    return [
        Figure.of(f"{label}: row by row, eager steps", rates["reference"], unit),
        Figure.of(f"{label}: our batches, eager engine", rates["eager"], unit),
        Figure.of(f"{label}: our batches, native engine", rates["native"], unit),
        Figure.of(f"{label}: native engine, times the reference", ratios, "x", at_least=TIMES_FASTER),
        Figure.of(f"{label}: native engine, times the eager engine", eager_ratios, "x"),
    ]


def engine_steps(name: str, config: TrainConfig, prepared: Prepared) -> Iterator[tuple[Tensor, int]]:
    """The loop's own steps, without what it tells and saves."""
    model, batches = new_model(config, prepared).train(), WindowBatches(prepared, config, CPU)
    built = build(name, config, model, adam(model, config, fused=True), batches.first)
    assert built.engine == name, built.problem
    return ((built.step(batch), len(batch)) for batch in endless(batches))


def windows_per_s(steps: Iterator[tuple[Tensor, int]]) -> float:
    next(steps)  # the first fills caches, and may begin an epoch
    windows, begin = 0, time.perf_counter()
    for loss, count in steps:
        loss.item()
        windows += count
        if time.perf_counter() - begin > SECONDS:
            break
    return windows / (time.perf_counter() - begin)


def floor(config: TrainConfig, prepared: Prepared) -> Figure:
    """Windows a second that operations and bytes allow, nothing else being done."""
    model = new_model(config, prepared)
    weights = sum(parameter.numel() for parameter in model.parameters())
    operations = (
        3 * 2 * products(cast(MovieTransformerOptions, config.model), config.window, prepared.histories.num_tokens)
    )
    step_bytes = 4 * weights * 7  # Adam reads weight, gradient and two moments, and writes all but the gradient
    seconds = operations / operations_per_s() + step_bytes / config.batch_size / bytes_per_s()
    return Figure.of(f"batch {config.batch_size}: floor", [1 / seconds], "windows/s")


def products(options: MovieTransformerOptions, window: int, vocabulary: int) -> int:
    """Multiplications of one window's forward pass; backward has twice as many, and each comes with an addition."""
    layer = (3 + 1 + 4 + 4) * options.width**2 * window + options.width * window * (window + 1)
    hidden = options.hidden_sizes[0]
    head = window * (options.width + options.user_width) * hidden + hidden * vocabulary
    return options.num_layers * layer + head


def operations_per_s() -> float:
    """Of a large float32 matrix product, the best of some."""
    matrix = torch.randn(2048, 2048)
    return 2 * 2048**3 / best(lambda: matrix @ matrix)


def bytes_per_s() -> float:
    """Read and written by a copy of 256 MB, the best of some."""
    source = np.ones(2**25)
    target = np.empty_like(source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source))


def best(work: Any) -> float:
    seconds = list[float]()
    for _ in range(7):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


if __name__ == "__main__":
    main()
