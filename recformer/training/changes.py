"""What may be edited when a run is resumed, and what cannot: a change of it would make it another run."""

from recformer.config import TrainConfig
from recformer.errors import UsageError

FIXED = ("model", "loss", "split", "window", "batch_size", "seed", "initialisation")
INEXACT = ("engine", "matmul_precision")


def check_resume(before: TrainConfig, after: TrainConfig) -> None:
    """Raises UsageError naming each setting that cannot be changed when a run is resumed."""
    faults = [name for name in FIXED if getattr(before, name) != getattr(after, name)]
    if faults:
        raise UsageError(
            f"{', '.join(faults)} cannot be changed on resume: it would be another run. "
            "Start a new one from these weights instead (train --init-from)"
        )


def effective(before: TrainConfig, after: TrainConfig) -> dict[str, tuple[object, object]]:
    """The settings that differ and take effect on resume: field to (value before, value now)."""
    return {
        name: (getattr(before, name), getattr(after, name))
        for name in TrainConfig.model_fields
        if name not in FIXED and getattr(before, name) != getattr(after, name)
    }
