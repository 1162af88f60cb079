"""All that training needs to go on exactly where it was: the loop works on it, last.pt holds it."""

from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from recformer.checkpoint.info import CheckpointInfo, Provenance, info_from
from recformer.checkpoint.weights import check_constants, read_archive, write_archive
from recformer.errors import CheckpointError
from recformer.files import gate
from recformer.run.paths import CHECKPOINT_FILES, RESUME_FILES
from recformer.training.optimizer import Optimizer

LAST, PREVIOUS = RESUME_FILES


@dataclass
class Position:
    """Where training stands, and what it has seen in the epoch it is in."""

    epoch: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Epochs finished."""
    step: Annotated[int, Field(ge=0, lt=2**62)] = 0
    """Steps done in the epoch that is going on."""
    loss_sum: float = 0.0
    """Sum over that epoch's cases so far of the loss."""
    cases: Annotated[int, Field(ge=0, lt=2**62)] = 0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Time spent on that epoch so far, interruptions left out."""
    best: dict[str, float] = field(default_factory=dict[str, float])
    """Figures of the best validation, under "epoch" the epochs trained until it; empty before the first."""
    logged_sum: float = 0.0
    """`loss_sum` and `cases` at the last step of the epoch that was logged."""
    logged_cases: int = 0
    validated: int = 0
    """The step of the epoch after which the model was last validated within it."""

    @property
    def samples_per_s(self) -> float:
        """Cases a second in that epoch."""
        return self.cases / max(self.seconds, 1e-9)

    def finish_epoch(self) -> None:
        """Stand at the beginning of the next epoch."""
        self.epoch, self.step, self.loss_sum, self.cases, self.seconds = self.epoch + 1, 0, 0.0, 0, 0.0
        self.logged_sum, self.logged_cases, self.validated = 0.0, 0, 0


@dataclass(frozen=True)
class Content:
    """What an archive to go on from holds, its tensors unchecked."""

    position: Position
    model: dict[str, Any]
    optimizer: dict[str, Any]
    random: dict[str, Any]
    environment: dict[str, str | int] = field(default_factory=dict[str, str | int])
    engine: str | None = "eager"
    info: dict[str, Any] | None = None
    averaged: dict[str, Any] | None = None


_CONTENT = TypeAdapter(Content)


@dataclass(frozen=True)
class Saved:
    """What a run goes on from."""

    path: Path
    content: "Content"
    problem: str | None
    """What to tell where it is not the newest that was saved."""


def newest_saved(models: Path) -> Saved:
    """The newest archive in a run's folder of checkpoints that is whole: last.pt, else previous.pt.

    Raises CheckpointError naming both where neither is.
    """
    faults: list[str] = []
    for path in (models / LAST, models / PREVIOUS):
        try:
            content = gate.validated(read_archive(path), _CONTENT, path, gate.CHECKPOINT)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        return Saved(path, content, _fallen_back(models) if faults else None)
    best = models / CHECKPOINT_FILES["best"]
    message = f"run {models.name!r} cannot be resumed: {'; '.join(faults)}; or start a new run"
    if not best.is_file():
        raise CheckpointError(f"{message} in its place")
    raise CheckpointError(
        f"{message} from its best weights",
        cli=f"To start it: train --init-from {models.name}/best --data DIR",
        page="To start it: Train, Start from weights",
    )


def _fallen_back(models: Path) -> str:
    fault = "cut off or damaged" if (models / LAST).exists() else "missing"
    return f"{LAST} is {fault}: the run goes on from {PREVIOUS}, the save before it, and trains again what came after."


@dataclass
class TrainState:
    """Model, optimizer, random numbers and position."""

    model: nn.Module
    optimizer: Optimizer
    device: torch.device
    position: Position = field(default_factory=Position)
    notes: list[str] = field(default_factory=list[str])
    """What there is to tell about how it was restored."""
    engine: str | None = None
    """What computed its steps so far; None before the first. Another one would round, and drop, otherwise."""
    ancestors: list[Provenance] | None = None
    """What its first weights were trained on, as the run saved it; None where it saved nothing of it."""
    averaged: nn.Module | None = None
    """The running mean of the weights, where there is one."""
    _last_is_whole: bool = True

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept."""
        return self.averaged or self.model

    @torch.no_grad()
    def average(self, share: float, steps: int) -> None:
        """Count the weights after so many `steps` into their running mean, of which `share` stays.

        Less of it stays in the beginning: it would hold the weights that training began with for long.
        """
        if not share:
            return
        self.averaged = self.averaged or deepcopy(self.model).eval()
        share = min(share, (1 + steps) / (10 + steps))
        for mean, weight in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(weight, 1 - share)

    def save(self, models: Path, info: CheckpointInfo, make_folder: bool = True) -> None:
        """Write everything atomically to last.pt; the one before becomes previous.pt.

        Raises StoreError when the disk refuses, the old ones then stay, and, without `make_folder`, when the folder is
        gone.
        """
        content = {
            "info": asdict(info),
            "position": asdict(self.position),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self._random_state(),
            "environment": self._environment(),
            "engine": self.engine,
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
        }
        # A damaged last.pt must not take the place of the previous.pt that the run went on from.
        keep = models / PREVIOUS if self._last_is_whole else None
        write_archive(models / LAST, content, keep, make_folder)
        self._last_is_whole = True

    def restore(self, models: Path) -> None:
        """Take on what `save` wrote; `notes` says what is not as it was.

        Raises CheckpointError when the files are damaged or of another model.
        """
        saved = newest_saved(models)
        try:
            check_constants(self.model, saved.content.model, str(saved.path))
            self.model.load_state_dict(saved.content.model)
            self.optimizer.load_state_dict(saved.content.optimizer)
            if saved.content.averaged is not None:
                self.averaged = deepcopy(self.model).eval()
                self.averaged.load_state_dict(saved.content.averaged)
            self._set_random_state(saved.content.random)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise CheckpointError(
                f"{saved.path} cannot be resumed from: {' '.join(str(error).split())[:200]}"
            ) from None
        self.position = saved.content.position
        self.engine = saved.content.engine
        self.ancestors = None if saved.content.info is None else info_from(saved.content.info, saved.path).ancestors
        self._last_is_whole = saved.problem is None
        changed = self._changes(saved.content.environment)
        self.notes += [note for note in (saved.problem, changed) if note]

    def _environment(self) -> dict[str, Any]:
        """What the last bits of every number depend on."""
        return {
            "threads": torch.get_num_threads(),
            "PyTorch": str(torch.__version__),
            "device": self.device.type,
        }

    def _changes(self, before: dict[str, Any]) -> str | None:
        now = self._environment()
        known = [name for name in now if name in before]
        changes = [f"{name} {before[name]} before, {now[name]} now" for name in known if before[name] != now[name]]
        if not changes:
            return None
        return f"The run goes on, but not bit for bit as it would have without a break: {'; '.join(changes)}."

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
