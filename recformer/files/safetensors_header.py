"""What the header of a .safetensors file says of its weights, read without them and without torch."""

import struct
from pathlib import Path
from typing import Any

import safetensors

from recformer.errors import CheckpointError
from recformer.files import gate

MOST_HEADER_BYTES = 1 << 23  # some 80,000 tensors


def record_in(path: Path) -> dict[str, Any] | None:
    """The record within a .safetensors file; None where it has none or there is no file. Raises CheckpointError."""
    try:
        check_safetensors(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("recformer")
    except FileNotFoundError:
        return None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(damaged(path, str(error))) from None
    if text is None:
        return None
    return gate.as_mapping(gate.parse_json(text.encode(), path, gate.CHECKPOINT), path, gate.CHECKPOINT)


def check_safetensors(path: Path) -> None:
    """Raises FileNotFoundError, and CheckpointError for a file whose header the library would read at any length."""
    with gate.open_file(path, gate.CHECKPOINT) as file:
        start = file.read(8)
    if len(start) < 8 or struct.unpack("<Q", start)[0] > MOST_HEADER_BYTES:
        raise CheckpointError(damaged(path, "its header has no length that a header has"))


def damaged(path: Path, reason: str) -> str:
    """What to say of a file that is cut off or damaged."""
    return f"{path} is cut off or damaged ({reason}). Copy it again from its source"
