"""What computes training steps: the model's own step in C++, torch.compile, or PyTorch operation by operation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from recformer.config import TrainConfig
from recformer.loss.seen import Seen
from recformer.model.movie_transformer import MovieTransformer
from recformer.model.native.build import BuildError
from recformer.model.native.training_step import NativeStep, why_not
from recformer.registry import LOSSES

Engine = Literal["native", "compiled", "eager"]
COMPILING = {  # measured: docs/BENCHMARKS.md
    "cpu": "torch.compile takes 12 to 28 s before the first step on two cores, and makes steps 0.96 to 1.2 × as fast",
    "cuda": "what torch.compile costs and gains on this GPU has not been measured",
}
Step = Callable[[Seen, Tensor], Tensor]
"""Train on a batch, what was seen and targets (B,); its loss, a () float that is no part of a graph."""


@dataclass(frozen=True)
class EnginePlan:
    """Which engines may compute a configuration, and why, before anything is built."""

    engines: tuple[Engine, ...]
    """One, or several of which the fastest is to be found by measurement (engine_choice.py)."""
    why: str
    compiling: str
    """What torch.compile costs and gains on the device."""


@dataclass(frozen=True)
class Built:
    """A step that works, on the engine wanted, or on the eager one with the problem said."""

    step: Step
    engine: Engine
    problem: str | None = None


def plan(config: TrainConfig, device: torch.device) -> EnginePlan:
    """The engine asked for, or all that can compute this configuration soon. See docs/BENCHMARKS.md."""
    compiling = COMPILING.get(device.type, COMPILING["cuda"])
    if config.engine != "auto":
        return EnginePlan((config.engine,), "asked for", compiling)
    if device.type != "cpu":
        return EnginePlan(("eager",), "the native step is for CPUs", compiling)
    if reason := why_not(config):
        return EnginePlan(("eager",), reason, compiling)
    return EnginePlan(("native", "eager"), "the fastest as measured here", compiling)


def build(
    engine: str,
    config: TrainConfig,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    first: Callable[[], tuple[Seen, Tensor]],
) -> Built:
    """A step of `engine` for this model and optimizer; an eager one, and why, where that cannot be had.

    `first` gives a batch of full size to try things on. The trial leaves random state, weights and gradients alone.
    """
    eager = _EagerStep(config, model, optimizer)
    problem = None
    if engine == "native":
        problem = why_not(config) if next(model.parameters()).device.type == "cpu" else "it is for CPUs"
        if not problem:
            try:
                native = NativeStep(config, cast(MovieTransformer, model), cast(torch.optim.Adam, optimizer))
            except BuildError as error:
                problem = str(error)
            else:
                return Built(lambda seen, _: native(seen), "native")
    elif engine == "compiled":
        seen, _ = first()
        eager.forward, problem = _compiled(model, seen.window, seen.users)
        if not problem:
            return Built(eager, "compiled")
    else:
        return Built(eager, "eager")
    return Built(
        eager,
        "eager",
        f"On the eager engine, not the {engine} one ({problem}): each step takes longer, and dropout is drawn "
        "otherwise, so that results differ as those of another seed do.",
    )


class _EagerStep:
    """Forward, loss, backward and update as PyTorch's own modules, with the forward pass compiled or not."""

    def __init__(self, config: TrainConfig, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.forward: Callable[[Tensor, Tensor], Tensor] = model
        self._model = model
        self._batch_size = config.batch_size
        self._loss = LOSSES.get(config.loss.name)(config.loss)
        self._optimizer = optimizer

    def __call__(self, seen: Seen, targets: Tensor) -> Tensor:
        # The last batch of an epoch is smaller; compiling a second time for it would cost more than it gives.
        forward = self.forward if len(targets) == self._batch_size else self._model
        loss = self._loss(forward(seen.window, seen.users), targets, seen)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def _compiled(model: nn.Module, tokens: Tensor, users: Tensor) -> tuple[Callable[[Tensor, Tensor], Tensor], str | None]:
    """The compiled forward pass, tried forward and backward on one batch; or the model itself, and why not compiled."""
    model.train()
    compiled: Callable[[Tensor, Tensor], Tensor] = torch.compile(model, fullgraph=True)
    devices = [tokens.device] if tokens.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            compiled(tokens, users).sum().backward()
        except Exception as error:
            # Whatever stands in the compiler's way (no C++ compiler, an unsupported driver), the uncompiled model
            # computes the same numbers; the run says so and goes on.
            return model, _reason(error)
        finally:
            model.zero_grad(set_to_none=True)
    return compiled, None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "no C++ compiler found" if "C++ compiler" in text else f"{type(error).__name__}: {text[:200]}"
