"""What people set for all runs under a root: how many train at once, and how long a stop waits before it kills."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recformer.errors import UsageError
from recformer.files import gate
from recformer.files.writing import write_json
from recformer.run.paths import Root

FILE = ".settings.json"  # no run id begins with a dot


class Settings(BaseModel):
    """`runs/.settings.json`; each field's limits are those of the form and of the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs_per_device: int = Field(
        default=1,
        ge=1,
        le=16,
        title="Runs at once on a device",
        description="How many runs train at the same time on one GPU, or on the processor; the next ones wait.",
    )
    grace_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        title="Grace period of a stop, in seconds",
        description="How long a run that was asked to stop may take to end its step and save, before it is killed.",
    )


_ADAPTER = TypeAdapter(Settings)
ALLOWED = "jobs_per_device, a whole number from 1 to 16; grace_s, seconds from 0 to 3600"


def read_settings(root: Root) -> Settings:
    """The settings; the defaults where there are none. Raises StoreError when the file is damaged."""
    return gate.read_record(_path(root), gate.SETTINGS, _ADAPTER) or Settings()


def change_settings(root: Root, **changes: object) -> Settings:
    """Settings with `changes`, written atomically. Raises UsageError for a value or name that is not allowed."""
    try:
        changed = Settings.model_validate(read_settings(root).model_dump() | changes)
    except ValidationError as error:
        faults = "; ".join(
            f"{fault['loc'][0]} = {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
            for fault in error.errors()
        )
        raise UsageError(f"settings: {faults}; allowed: {ALLOWED}") from None
    write_json(_path(root), changed.model_dump())
    return changed


def _path(root: Root) -> Path:
    return root.runs / FILE
