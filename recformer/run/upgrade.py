"""What earlier versions wrote in a run's folder, read as what is written today. Nothing on disk is changed.

Until there was run.yaml, config.yaml held a run's settings (the trainer wrote it anew at each resume), and origin.json
what it was trained on; an imported run had the first, and the second where somebody said what it is from.
"""

from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from recformer.files import gate
from recformer.files.gate import Line

CONFIG_FILE, ORIGIN_FILE = "config.yaml", "origin.json"


class _Origin(TypedDict):
    dataset: Line
    fingerprint: Line
    path: Line
    init_from: NotRequired[Line | None]
    commit: NotRequired[Line]


_ORIGIN = TypeAdapter(_Origin)


def old_config(folder: Path) -> dict[str, Any] | None:
    """The settings of a run of an earlier version; None where there are none. Raises StoreError when damaged."""
    return gate.read_object(folder / CONFIG_FILE, gate.CONFIG)


def old_record(folder: Path) -> dict[str, Any] | None:
    """The fields of run.yaml for a run of an earlier version; None where it has no record. Raises StoreError."""
    config, origin = old_config(folder), gate.read_record(folder / ORIGIN_FILE, gate.ORIGIN, _ORIGIN)
    if origin is None:
        return None if config is None else {"config": config, "commit": ""}
    return {
        "config": config or {},
        "dataset": {"name": origin["dataset"], "fingerprint": origin["fingerprint"], "path": origin["path"]},
        "init_from": origin.get("init_from"),
        "commit": origin.get("commit", ""),
    }
