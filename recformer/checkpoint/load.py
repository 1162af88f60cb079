"""The record and the model of a checkpoint, whatever kind of file it is; torch is loaded when it is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from recformer.checkpoint.info import CheckpointInfo, info_from, known_info
from recformer.config import parse_section
from recformer.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn


def read_info(path: Path) -> CheckpointInfo:
    """The record of a checkpoint: the one in it, the .json beside it, or what the shapes of a bare file tell."""
    if path.suffix == ".safetensors" and (info := known_info(path)) is not None:
        return info
    from recformer.checkpoint.weights import infer_info, read_archive, read_state

    if path.suffix != ".safetensors" and path.exists():
        record = read_archive(path).get("info")
        if isinstance(record, dict) and ("format" in record or "run_id" in record):  # others may call something so
            return info_from(cast("dict[str, Any]", record), path)
    return infer_info(path, read_state(path), {})


def load(path: Path, info: CheckpointInfo | None = None) -> "tuple[nn.Module, CheckpointInfo]":
    """Model and record of a checkpoint file; `info` replaces the record, for a file that has none.

    Raises CheckpointError; see read_state and read_info.
    """
    from recformer.checkpoint.weights import build, read_state

    info = info or read_info(path)
    try:
        options = parse_section("model", info.model)
    except ValueError as error:
        raise CheckpointError(f"the record of {path} is damaged: {' '.join(str(error).split())}") from None
    return build(options, info.shape, read_state(path), str(path)), info
