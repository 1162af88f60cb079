"""Datasets on disk in the form in which they are used, found by the content of their source files."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet
from pydantic import TypeAdapter

from recformer.data.arrays import check_lengths, checksums, map_arrays, write_array
from recformer.data.assemble import assemble, find_reader
from recformer.data.build import Progress, build
from recformer.data.dataset import Dataset, fingerprint_of
from recformer.data.mapping import Mapping, Settings, read_settings
from recformer.data.nouns import Nouns, nouns_of
from recformer.data.repeats import Repeats
from recformer.data.report import Report
from recformer.errors import DataError, StoreError
from recformer.files import gate
from recformer.files.stamps import settled, stamp
from recformer.files.temporary_folder import remove_unused, temporary_folder
from recformer.files.writing import write_text

FORMAT = "8"  # raise it whenever reading or storing changes what a Dataset holds
RECORD = "dataset.json"
UNUSED_S = 30 * 86_400.0
"""An entry that was not read for so long is removed when another is stored: of a dataset that was looked at and never
added, or that is gone; one that is read again after all is made anew."""
LARGE_BYTES = 64 << 20
"""Of a file of this size the digest is remembered with its stamp: reading it again takes seconds."""
_REPORT = TypeAdapter(Report)

log = logging.getLogger(__name__)


def load(folder: Path, cache: Path, progress: Progress | None = None) -> Dataset:
    """The dataset in `folder`, from `cache` where the same files were read before.

    The key is the content of the files and what was said of them, so an edited file is read anew. A damaged entry is
    rebuilt. A cache that cannot be written only costs time, but for tables, whose arrays are nowhere else.
    Raises DataError when the dataset itself cannot be read, StoreError when the disk refuses a table's arrays.
    """
    settings = read_settings(folder)
    entry = _entry(folder, cache, settings)
    cached = _read(entry, folder)
    if cached is not None:
        return cached
    if settings.mapping is not None:
        return _load_table(folder, entry, settings.mapping, progress)
    name, reader = find_reader(folder)
    dataset = assemble(reader.read(folder), folder, name, settings.repeats)
    try:
        _store(entry, lambda out: _write(dataset, out))
    except OSError as error:  # a disk that refuses is no reason not to load
        log.info("the dataset was not kept in %s: %s", entry, error)
    return dataset


def record_of(folder: Path, cache: Path) -> dict[str, Any] | None:
    """What is known of a dataset without reading it: its reader, fingerprint, nouns and sizes. None where it was not
    read yet. Raises DataError where its files cannot be read."""
    with suppress(StoreError):
        return gate.read_object(_entry(folder, cache, read_settings(folder)) / RECORD, gate.DATA_SOURCE)
    return None


def _entry(folder: Path, cache: Path, settings: Settings) -> Path:
    """Where the arrays of a dataset are kept, or would be."""
    if settings.mapping is not None:
        paths = [folder / name for name in settings.mapping.all_files()]
        return cache / _key(f"table\n{json.dumps(asdict(settings.mapping))}", paths, cache)
    name, reader = find_reader(folder)
    return cache / _key(f"{name}\n{settings.repeats}", reader.files(folder), cache)


def _load_table(folder: Path, entry: Path, mapping: Mapping, progress: Progress | None) -> Dataset:
    try:
        _store(entry, lambda out: _build(folder, mapping, out, progress))
        return _read_entry(entry, folder)
    except OSError as error:
        raise StoreError(
            f"could not write {entry}: {error.strerror or error}. Free some space or check the folder's permissions, "
            "then try again"
        ) from error


def _build(folder: Path, mapping: Mapping, out: Path, progress: Progress | None) -> None:
    report = build(folder, mapping, out, progress)
    said = {"keep": "keep", "first": "drop", "last": "drop", "error": "drop"}
    record = {
        "reader": "table",
        "has_times": mapping.time is not None,
        "nouns": asdict(nouns_of(mapping.noun)),
        "repeats": {"rows": report.duplicates, "choice": said.get(mapping.duplicates or "")},
        "report": asdict(report),
        "fingerprint": _fingerprint(out),
    }
    _finish(out, record)


def _write(dataset: Dataset, out: Path) -> None:
    for name, array in (("offsets", dataset.offsets), ("items", dataset.items), ("timestamps", dataset.timestamps)):
        write_array(out, name, array)
    if dataset.ratings is not None:
        write_array(out, "ratings", dataset.ratings)
    for name, frame in (("items", dataset.item_table), ("users", dataset.user_table)):
        frame.to_parquet(out / f"{name}.parquet", index=False, write_page_checksum=True)
    record = {name: getattr(dataset, name) for name in ("reader", "has_times", "fingerprint")}
    parts = {name: asdict(getattr(dataset, name)) for name in ("nouns", "repeats", "report")}
    _finish(out, record | parts)


def _fingerprint(out: Path) -> str:
    arrays = map_arrays(out)
    users, items = (pd.Index(_read_frame(out / f"{name}s.parquet")[f"{name}_id"]) for name in ("user", "item"))
    sequences = arrays["offsets"], arrays["items"], arrays["timestamps"]
    return fingerprint_of(users, items, *sequences, arrays.get("parts"))


def _finish(out: Path, record: dict[str, Any]) -> None:
    """Write the record of an entry of which all else is there."""
    arrays = map_arrays(out)
    sizes = {
        "users": len(arrays["offsets"]) - 1,
        "items": _num_rows(out / "items.parquet"),
        "interactions": len(arrays["items"]),
    }
    record |= {"checksums": checksums(out), "sizes": sizes}
    (out / RECORD).write_text(json.dumps(record), encoding="utf-8")


def _key(said: str, paths: Iterable[Path], cache: Path) -> str:
    """32 hex digits over names and bytes of the source files, and what was said of them."""
    digest = hashlib.sha256(f"{FORMAT}\n{said}\n".encode())
    for path in paths:
        try:
            digest.update(f"{path.name}\n{_content(path, cache)}\n".encode())
        except OSError as error:
            raise DataError(
                f"{path} cannot be read: {error.strerror or error}. Check that the file may be read"
            ) from error
    return digest.hexdigest()[:32]


def _content(path: Path, cache: Path) -> str:
    """The SHA-256 of a file's bytes; of a large one, that of its last reading where its stamp is the same."""
    before = stamp(path)
    large = before is not None and before[2] >= LARGE_BYTES
    known = cache / "digests" / hashlib.sha256(f"{path.resolve()}\n{before}".encode()).hexdigest()
    if large and settled([before]):
        with suppress(FileNotFoundError, DataError):
            if len(said := gate.read_bytes(known, gate.DATA_DIGEST)) == 64:
                return said.decode("ascii", "replace")
    with gate.open_file(path, gate.DATA) as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    if large and settled([before]) and stamp(path) == before:
        with suppress(StoreError):
            write_text(known, content)
    return content


def _read(entry: Path, folder: Path) -> Dataset | None:
    if not entry.is_dir():
        return None
    try:
        dataset = _read_entry(entry, folder)
        with suppress(OSError):  # a cache that may only be read
            os.utime(entry)  # it is in use
        return dataset
    except Exception as error:  # whatever a damaged file makes its reader raise, the remedy is to read anew
        log.warning("the cached dataset %s is damaged and is built again: %s", entry, error)
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _read_entry(entry: Path, folder: Path) -> Dataset:
    record = gate.read_object(entry / RECORD, gate.DATA_SOURCE) or {}
    check_lengths(entry, record["sizes"]["users"], record["sizes"]["interactions"])
    found = checksums(entry)
    if found != record["checksums"]:
        raise ValueError(f"the checksums of its arrays are {found}, recorded were {record['checksums']}")
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
        kept_in=entry,
        report=_REPORT.validate_python(record["report"]),
        **map_arrays(entry),
    )
    _check(dataset)
    return dataset


def _check(dataset: Dataset) -> None:
    """Raise ValueError where the parts of an entry do not belong together."""
    if len(dataset.offsets) != dataset.num_users + 1 or int(dataset.offsets[-1]) != len(dataset.items):
        raise ValueError("its users and its interactions are not of one dataset")
    if int(dataset.items.max()) >= dataset.num_items:
        raise ValueError("its items and its interactions are not of one dataset")


def _read_frame(path: Path) -> pd.DataFrame:
    with gate.open_file(path, gate.DATA_CACHE) as file:
        # Not by `read_table`: a thread of its scanner may outlive Python, and letting go of the file then aborts.
        frame = parquet.ParquetFile(file, page_checksum_verification=True).read(use_threads=False).to_pandas()
    for name in [name for name in frame if pd.api.types.is_object_dtype(frame[name].dtype)]:  # lists
        frame[name] = [list(values) for values in frame[name]]
    return frame


def _num_rows(path: Path) -> int:
    with gate.open_file(path, gate.DATA_CACHE) as file:
        return parquet.read_metadata(file).num_rows


def _store(entry: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill the entry, whole or not at all; entries that nobody read for long make room. Raises OSError when
    the disk refuses."""
    with temporary_folder(entry.parent, "dataset") as temporary:
        remove_unused((record.parent for record in entry.parent.glob(f"*/{RECORD}")), UNUSED_S)
        write(temporary)
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():  # another process stored the same entry first: the usual, harmless cause
                raise
