"""What a run was trained on: origin.json in the run's folder."""

import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from recformer.files import gate
from recformer.files.names import IS_INSTALLED, PROJECT
from recformer.files.writing import write_json
from recformer.run.paths import Root

FILE = "origin.json"
Line = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""What stands in messages and is joined to a path."""


@dataclass(frozen=True)
class Provenance:
    """The dataset a run was trained on, and the weights it began with."""

    dataset: Line
    """Name for people."""
    fingerprint: Line
    """The dataset's fingerprint."""
    path: Line
    """Where the dataset lies: below the root relative to it, else absolute."""
    init_from: Line | None = None
    """The checkpoint whose weights it began with; None for fresh weights."""
    commit: Line = ""
    """Commit of the code, "" where that is not known."""


_ADAPTER = TypeAdapter(Provenance)


def write_provenance(root: Root, run_id: str, origin: Provenance) -> None:
    """Write origin.json atomically. Raises StoreError when the disk refuses."""
    write_json(root.run(run_id) / FILE, asdict(origin))


def read_provenance(root: Root, run_id: str) -> Provenance | None:
    """The origin of a run; None for an imported one. Raises StoreError when the record is damaged."""
    return gate.read_record(root.run(run_id) / FILE, gate.ORIGIN, _ADAPTER)


def portable_path(root: Root, folder: Path) -> str:
    """`folder` relative to the root where it lies below it, so that the root can be moved; else absolute."""
    resolved = folder.resolve()
    return str(resolved.relative_to(root.path)) if resolved.is_relative_to(root.path) else str(resolved)


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
