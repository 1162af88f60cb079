"""What computes training steps: the model's own step in C++, torch.compile, or PyTorch operation by operation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from recformer.config import TrainConfig
from recformer.model.full_softmax import TakenOut, full_softmax
from recformer.model.movie_transformer import MovieTransformer
from recformer.model.native.build import BuildError
from recformer.model.native.training_step import NativeStep, why_not
from recformer.model.sampled_softmax import sampled_softmax
from recformer.model.sasrec import SasRec
from recformer.registry import LOSSES
from recformer.training.optimizer import Optimizer
from recformer.training.sequence_batches import SequenceBatch
from recformer.training.window_batches import WindowBatch

Engine = Literal["native", "compiled", "eager"]
COMPILING = {  # measured: docs/BENCHMARKS.md
    "cpu": "torch.compile takes 12 to 28 s before the first step on two cores, and makes steps 0.96 to 1.2 × as fast",
    "cuda": "what torch.compile costs and gains on this GPU has not been measured",
}
Step = Callable[[Any], Tensor]
"""Train on a batch; its loss, the mean over its cases, a () float that is no part of a graph."""


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
    optimizer: Optimizer,
    first: Callable[[], Any],
) -> Built:
    """A step of `engine` for this model and optimizer; an eager one, and why, where that cannot be had.

    `first` gives a batch of full size to try things on. The trial leaves random state, weights and gradients alone.
    """
    if isinstance(model, SasRec):
        eager = _SequenceStep(config, model, optimizer)
        problem = None if engine == "eager" else f"it does not know the model {config.model.name}"
        return Built(eager, "eager", _slower(engine, problem) if problem else None)
    eager = _WindowStep(config, model, optimizer)
    problem = None
    if engine == "native":
        problem = why_not(config) if next(model.parameters()).device.type == "cpu" else "it is for CPUs"
        if not problem:
            try:
                native = NativeStep(config, cast(MovieTransformer, model), cast(torch.optim.Adam, optimizer))
            except BuildError as error:
                problem = str(error)
            else:
                return Built(lambda batch: native(batch.seen), "native")
    elif engine == "compiled":
        seen = first().seen
        eager.forward, problem = _compiled(model, seen.window, seen.users)
        if not problem:
            return Built(eager, "compiled")
    else:
        return Built(eager, "eager")
    return Built(eager, "eager", _slower(engine, problem))


def _slower(engine: str, problem: str) -> str:
    return (
        f"On the eager engine, not the {engine} one ({problem}): each step takes longer, and dropout is drawn "
        "otherwise, so that results differ as those of another seed do."
    )


class _Update:
    """Backward pass and update of the weights."""

    def __init__(self, config: TrainConfig, model: nn.Module, optimizer: Optimizer) -> None:
        self._parameters = list(model.parameters())
        self._optimizer = optimizer
        self._clip_norm = config.clip_norm

    def __call__(self, loss: Tensor) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        self._optimizer.step()
        return loss.detach()


class _SequenceStep:
    """Every position of whole histories at once, among all items or those that the user has not had."""

    def __init__(self, config: TrainConfig, model: SasRec, optimizer: Optimizer) -> None:
        self._model = model
        self._negatives = config.negatives
        self._takes_out = config.loss.name == "masked_softmax"
        self._update = _Update(config, model, optimizer)

    def __call__(self, batch: SequenceBatch) -> Tensor:
        model, tokens = self._model, batch.sequences.tokens
        hidden = model.hidden(batch.tokens).flatten(0, 1)[batch.positions]  # (M, D)
        taken_out = TakenOut(tokens, batch.user_starts, batch.ends) if self._takes_out else None
        known = (hidden, model.output_weight, model.bias, tokens[batch.ends], taken_out)
        if self._negatives:
            return self._update(sampled_softmax(*known, batch.shares, self._negatives))
        return self._update(full_softmax(*known))


class _WindowStep:
    """Forward, loss, backward and update as PyTorch's own modules, with the forward pass compiled or not."""

    def __init__(self, config: TrainConfig, model: nn.Module, optimizer: Optimizer) -> None:
        self.forward: Callable[[Tensor, Tensor], Tensor] = model
        self._model = model
        self._batch_size = config.batch_size
        self._loss = LOSSES.get(config.loss.name)(config.loss)
        self._update = _Update(config, model, optimizer)

    def __call__(self, batch: WindowBatch) -> Tensor:
        # The last batch of an epoch is smaller; compiling a second time for it would cost more than it gives.
        forward, seen = self.forward if len(batch) == self._batch_size else self._model, batch.seen
        return self._update(self._loss(forward(seen.window, seen.users), batch.targets, seen))


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
