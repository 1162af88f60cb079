"""torch.compile where it can be had, and a plain word where it cannot."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Forward = Callable[[Tensor, Tensor], Tensor]


def compile_forward(model: nn.Module, tokens: Tensor, users: Tensor) -> tuple[Forward, str | None]:
    """The compiled forward pass of `model`, tried on one batch, and None; or the model itself and why not compiled.

    The trial runs forward and backward and leaves random state, weights and gradients as they were.
    `tokens`: (B, T) int, `users`: (B,) int, of the batch size to compile for.
    """
    model.train()
    compiled: Forward = torch.compile(model, fullgraph=True, mode="max-autotune")
    devices = [tokens.device] if tokens.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            compiled(tokens, users).sum().backward()
        except Exception as error:
            # Whatever stands in the compiler's way (no C++ compiler, an unsupported driver), the uncompiled model
            # computes the same numbers; the run says so and goes on.
            return (
                model,
                f"The model is not compiled ({_reason(error)}); the results are the same, each step takes longer.",
            )
        finally:
            model.zero_grad(set_to_none=True)
    return compiled, None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "no C++ compiler found" if "C++ compiler" in text else f"{type(error).__name__}: {text[:200]}"
