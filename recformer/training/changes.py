"""What may be edited when a run is resumed, and what cannot: a change of it would make it another run."""

from pathlib import Path

from recformer.config import TrainConfig
from recformer.errors import UsageError
from recformer.files.names import in_shell

FIXED = (
    "model",
    "loss",
    "split",
    "window",
    "batch_size",
    "seed",
    "initialisation",
    "optimizer",
    "averaging",
    "train_on",
)
OF_WEIGHTS = ("model", "window", "initialisation")
INEXACT = ("engine", "matmul_precision")


def check_resume(run_id: str, file: Path, before: TrainConfig, after: TrainConfig) -> None:
    """Raises UsageError naming each setting that cannot be changed when a run is resumed.

    `file` is that of the run's configuration.
    """
    faults = [name for name in FIXED if getattr(before, name) != getattr(after, name)]
    if not faults:
        return
    message = f"{', '.join(faults)} cannot be changed on resume: it would be another run. Start a new one"
    if any(name in OF_WEIGHTS for name in faults):  # other weights than those that are saved
        raise UsageError(
            message,
            cli=f"For that: train --config {in_shell(file)} --data DIR, with the same --set",
            page="For that: Train, New run",
        )
    raise UsageError(
        f"{message} from these weights",
        cli=f"For that: train --init-from {run_id} --data DIR, with the same --set",
        page="For that: Train, Start from weights",
    )


def effective(before: TrainConfig, after: TrainConfig) -> dict[str, tuple[object, object]]:
    """The settings that differ and take effect on resume: field to (value before, value now)."""
    return {
        name: (getattr(before, name), getattr(after, name))
        for name in TrainConfig.model_fields
        if name not in FIXED and getattr(before, name) != getattr(after, name)
    }
