"""Parsed datasets on disk, found by the content of their source files."""

import hashlib
import json
import logging
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from recformer.data.assemble import assemble, find_reader
from recformer.data.dataset import Dataset, Nouns, fingerprint_of
from recformer.data.layouts.base import Layout
from recformer.data.repeats import Choice, Repeats, read_choice
from recformer.errors import DataError
from recformer.files import gate

FORMAT = "4"  # raise it whenever reading or storing changes what a Dataset holds
TEMPORARY = ".tmp-"
LEFTOVER_S = 3600.0  # storing takes seconds; one that is taken for left over is only not kept
ARRAYS = ("offsets", "items", "timestamps", "ratings")

log = logging.getLogger(__name__)


def load(folder: Path, cache: Path) -> Dataset:
    """The dataset in `folder`, from `cache` where the same files were parsed before.

    The key is the content of the files, so an edited file is parsed anew. A damaged entry is rebuilt, and a
    cache that cannot be written only costs time. Raises DataError when the dataset itself cannot be read.
    """
    name, reader = find_reader(folder)
    repeats = read_choice(folder)
    entry = cache / _key(name, reader, folder, repeats)
    cached = _read(entry, folder)
    if cached is not None:
        return cached
    dataset = assemble(reader.read(folder), folder, name, reader.NOUNS, repeats)
    _store(dataset, entry)
    return dataset


def _key(name: str, reader: Layout, folder: Path, repeats: Choice | None) -> str:
    """32 hex digits over names and bytes of the source files, and what was said of repeated rows."""
    digest = hashlib.sha256(f"{FORMAT}\n{name}\n{repeats}\n".encode())
    for path in reader.files(folder):
        try:
            with gate.open_file(path, gate.DATA) as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(
                f"{path} cannot be read: {error.strerror or error}. Check that the file may be read"
            ) from error
        digest.update(f"{path.name}\n{content}\n".encode())
    return digest.hexdigest()[:32]


def _read(entry: Path, folder: Path) -> Dataset | None:
    if not entry.is_dir():
        return None
    try:
        return _read_entry(entry, folder)
    except Exception as error:  # whatever a damaged file makes its reader raise, the remedy is to parse again
        log.warning("the cached dataset %s is damaged and is built again: %s", entry, error)
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _read_entry(entry: Path, folder: Path) -> Dataset:
    with gate.open_file(entry / "arrays.npz", gate.DATA_CACHE) as file, np.load(file, allow_pickle=False) as stored:
        arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in ARRAYS if name in stored}
    record = gate.read_object(entry / "dataset.json", gate.DATA_SOURCE) or {}
    dataset = Dataset(
        name=folder.resolve().name,
        source=folder,
        reader=record["reader"],
        item_table=_read_frame(entry / "items.parquet"),
        user_table=_read_frame(entry / "users.parquet"),
        fingerprint=record["fingerprint"],
        has_times=record["has_times"],
        nouns=Nouns(**record["nouns"]),
        repeats=Repeats(**record["repeats"]),
        **arrays,
    )
    _check(dataset)
    return dataset


def _check(dataset: Dataset) -> None:
    """Raise ValueError where the parts of an entry do not belong together."""
    found = fingerprint_of(dataset.user_ids, dataset.item_ids, dataset.offsets, dataset.items, dataset.timestamps)
    if found != dataset.fingerprint:
        raise ValueError(f"its fingerprint is {found}, recorded was {dataset.fingerprint}")
    if dataset.ratings is not None and len(dataset.ratings) != len(dataset.items):
        raise ValueError(f"{len(dataset.ratings)} ratings for {len(dataset.items)} interactions")


def _read_frame(path: Path) -> pd.DataFrame:
    with gate.open_file(path, gate.DATA_CACHE) as file:
        frame = parquet.read_table(file, page_checksum_verification=True).to_pandas()
    for name in [name for name in frame if pd.api.types.is_object_dtype(frame[name].dtype)]:  # lists
        frame[name] = [list(values) for values in frame[name]]
    return frame


def _store(dataset: Dataset, entry: Path) -> None:
    """Write the entry whole or not at all; a disk that refuses is no reason not to load."""
    temporary: Path | None = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        for leftover in entry.parent.glob(f"{TEMPORARY}*"):  # of processes that were killed while storing
            with suppress(FileNotFoundError):  # stored or removed meanwhile
                if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
                    shutil.rmtree(leftover, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=TEMPORARY))
        arrays = {name: getattr(dataset, name) for name in ARRAYS}
        np.savez(temporary / "arrays.npz", **{name: array for name, array in arrays.items() if array is not None})
        for name, frame in (("items", dataset.item_table), ("users", dataset.user_table)):
            frame.to_parquet(temporary / f"{name}.parquet", index=False, write_page_checksum=True)
        record = {name: getattr(dataset, name) for name in ("reader", "fingerprint", "has_times")}
        record |= {"nouns": asdict(dataset.nouns), "repeats": asdict(dataset.repeats)}
        (temporary / "dataset.json").write_text(json.dumps(record), encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(entry)
    except OSError as error:
        # Another process that stored the same entry first is the usual, harmless cause.
        log.info("the parsed dataset was not kept in %s: %s", entry, error)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
