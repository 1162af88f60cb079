"""What a file is that was given as a checkpoint and is none, by how it begins."""

import zipfile
from pathlib import Path

from recformer.files import gate

_BEGINNINGS = {
    b"PAR1": "a Parquet table, such as an evaluation's ranks",
    b"\x93NUMPY": "an array of NumPy",
    b"\x89HDF": "HDF5",
    b"SQLite": "a database of SQLite",
    b"\x1f\x8b": "packed by gzip",
    b"%PDF": "a PDF",
}


def kind_of(path: Path) -> str | None:
    """What `path` is, None where it may be a checkpoint, whole or cut off. Raises OSError and CheckpointError."""
    if "tfevents" in path.name:
        return "a log of TensorBoard"
    with gate.open_file(path, gate.CHECKPOINT) as file:
        begin = file.read(512)
    for start, kind in _BEGINNINGS.items():
        if begin.startswith(start):
            return kind
    if begin.startswith(b"PK"):
        return _kind_of_archive(path)
    return _kind_of_text(begin)


def _kind_of_archive(path: Path) -> str | None:
    try:
        with gate.open_file(path, gate.CHECKPOINT) as file, gate.open_zip(file, path, gate.CHECKPOINT) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    if any(name.endswith("data.pkl") for name in names):
        return None
    return "an archive of NumPy's arrays" if any(name.endswith(".npy") for name in names) else "an archive of files"


def _kind_of_text(begin: bytes) -> str | None:
    """JSON or other text; None for anything else, and for nothing."""
    try:
        text = begin.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        if error.start < len(begin) - 3:  # not just a character that was cut
            return None
        text = begin[: error.start].decode("utf-8").strip()
    if not text or not all(character.isprintable() or character in "\t\r\n" for character in text):
        return None
    return "JSON" if text[0] in "{[" else "text, such as a table"
