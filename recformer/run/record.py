"""What was asked for: run.yaml in the run's folder.

Whoever asks for a run (the app, the command line, an import) writes it before anything trains, and whoever trains reads
it. A resume adds to it what it changes, and alters nothing that stands there.
"""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from recformer.config import SECTIONS
from recformer.files import gate
from recformer.files.gate import Line
from recformer.files.names import IS_INSTALLED, PROJECT
from recformer.files.writing import write_text
from recformer.run.paths import Root
from recformer.run.upgrade import CONFIG_FILE, old_config, old_record

if TYPE_CHECKING:
    from recformer.data.dataset import Dataset  # with pandas, which the list of runs does without

FILE = "run.yaml"


class RunDataset(BaseModel):
    """The dataset of a run."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Line
    """For people."""
    fingerprint: Line
    """"" for a run of an earlier version that never began."""
    path: Line
    """Where it lay: below the root relative to it, else absolute."""


class Resumption(BaseModel):
    """What a resume adds, written when it begins to train."""

    model_config = ConfigDict(frozen=True, extra="allow")

    changes: dict[str, Any]
    """Settings that it changed, as they are from then on."""
    dataset: RunDataset | None = None
    """Where the data lay then, if elsewhere than before."""
    device: Line
    commit: Line


class RunRecord(BaseModel):
    """`run.yaml`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    config: dict[str, Any]
    """The settings it began with, complete; of an imported run those that its weights tell."""
    resumed: list[Resumption] = Field(default_factory=list[Resumption])
    dataset: RunDataset | None = None
    """None for an imported run of which nobody said it."""
    init_from: Line | None = None
    """The checkpoint whose weights it began with; None for fresh weights."""
    device: Line = ""
    """As asked for: auto, cpu or cuda:N; "" where that is not known."""
    # Required, and the last in the file: one that was cut off, which YAML alone would not notice, has none.
    commit: Line
    """Commit of the code when it was asked for, "" where that is not known."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as they are since the last resume."""
        settings = dict(self.config)
        for resumption in self.resumed:
            settings |= resumption.changes
        return settings

    @property
    def trained_on(self) -> RunDataset | None:
        """The dataset, where it lay the last time."""
        return next((one.dataset for one in reversed(self.resumed) if one.dataset), self.dataset)


class _Shown(TypedDict, total=False):
    """What settings must be to be shown: those of an older or a newer version may have others."""

    name: str | int | float
    model: str | dict[str, Any]
    loss: str | dict[str, Any]
    split: str | dict[str, Any]


_RECORD, _SHOWN = TypeAdapter(RunRecord), TypeAdapter(_Shown)


def read_record(folder: Path) -> RunRecord | None:
    """The record in a run's folder, also one of an earlier version; None where there is none.

    Raises StoreError when it is damaged.
    """
    if (record := gate.read_record(folder / FILE, gate.CONFIG, _RECORD)) is not None:
        return record
    fields = old_record(folder)
    return None if fields is None else _RECORD.validate_python(fields)


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of the run in `folder` for who shows them, {} where there are none.

    Only what all versions share is checked; `config.parse` checks all. Raises StoreError when they are damaged.
    """
    record = gate.read_record(folder / FILE, gate.CONFIG, _RECORD)
    settings = (old_config(folder) or {}) if record is None else record.settings  # whatever became of origin.json
    gate.validated(settings, _SHOWN, folder / (CONFIG_FILE if record is None else FILE), gate.CONFIG)
    # A section may be written by its name alone.
    return settings | {key: {"name": settings[key]} for key in SECTIONS if isinstance(settings.get(key), str)}


def settings_in(fields: dict[str, Any], path: Path) -> dict[str, Any]:
    """The settings in a record that somebody named as a configuration. Raises UsageError when it is damaged."""
    return gate.validated(fields, _RECORD, path, gate.GIVEN_CONFIG).settings


def record_file(folder: Path) -> Path:
    """The file in a run's folder that says its settings."""
    new, old = folder / FILE, folder / CONFIG_FILE
    return old if old.exists() and not new.exists() else new


def asked(
    root: Root, config: dict[str, Any], dataset: "Dataset", device: str, init_from: str | None = None
) -> RunRecord:
    """The record of a new run with these settings, of the code as it is now."""
    return RunRecord(
        config=config,
        dataset=run_dataset(root, dataset),
        init_from=init_from,
        device=device,
        commit=code_commit(),
    )


def write_record(root: Root, run_id: str, record: RunRecord) -> None:
    """Write run.yaml atomically. Raises StoreError when the disk refuses."""
    text = yaml.safe_dump(record.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(root.run(run_id) / FILE, text)


def trained_on(root: Root, run_id: str) -> RunDataset | None:
    """The dataset of a run; None where nothing says it. Raises StoreError when the record is damaged."""
    record = read_record(root.run(run_id))
    return None if record is None else record.trained_on


def remember_dataset(root: Root, run_id: str, dataset: "Dataset") -> None:
    """Add to the record of a run that does not say it what it was trained on. Raises StoreError."""
    record = read_record(root.run(run_id)) or RunRecord(config={}, commit="")
    write_record(root, run_id, record.model_copy(update={"dataset": run_dataset(root, dataset)}))


def run_dataset(root: Root, dataset: "Dataset") -> RunDataset:
    """How a run's record names `dataset`: a path below the root relative to it, so that the root can be moved."""
    folder = dataset.source.resolve()
    path = folder.relative_to(root.path) if folder.is_relative_to(root.path) else folder
    return RunDataset(name=dataset.name, fingerprint=dataset.fingerprint, path=str(path))


def code_commit() -> str:
    """The commit of this checkout, "" where git or the history is not there."""
    if IS_INSTALLED:  # within another project's folder, git would tell that project's commit
        return ""
    try:
        result = subprocess.run(
            ["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
