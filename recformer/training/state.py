"""All that training needs to go on exactly where it was: the loop works on it, last.pt holds it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recformer.errors import CheckpointError
from recformer.weights import CheckpointInfo, read_archive, write_archive


@dataclass
class Position:
    """Where training stands, and what it has seen in the epoch it is in."""

    epoch: int = 0
    """Epochs finished."""
    step: int = 0
    """Steps done in the epoch that is going on."""
    loss_sum: float = 0.0
    """Sum over that epoch's cases so far of the loss."""
    cases: int = 0
    best: dict[str, float] = field(default_factory=dict[str, float])
    """Validation figures of the best epoch, with the epoch itself under "epoch"; empty before the first."""


@dataclass
class TrainState:
    """Model, optimizer, random numbers and position."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device
    position: Position = field(default_factory=Position)

    def save(self, path: Path, info: CheckpointInfo) -> None:
        """Write everything atomically to last.pt. Raises StoreError when the disk refuses; the old one then stays."""
        write_archive(
            path,
            {
                "info": asdict(info),
                "position": asdict(self.position),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "random": self._random_state(),
            },
        )

    def restore(self, path: Path) -> None:
        """Take on what `save` wrote. Raises CheckpointError when the file is damaged or of another model."""
        saved = read_archive(path)
        try:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.position = Position(**saved["position"])
            self._set_random_state(saved["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path} cannot be resumed from: {' '.join(str(error).split())[:200]}") from None

    def _random_state(self) -> dict[str, Any]:
        # Only dropout draws from the global generators; the order of batches is a function of seed and epoch.
        state: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def _set_random_state(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)


def batch_order(seed: int, epoch: int, count: int) -> Tensor:
    """(count,) int64: the order in which an epoch visits the training cases, a pure function of its arguments."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)
