"""The rank store: Parquet files of ranks, their protocol beside them; computed once, read by app and command line."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from pydantic import TypeAdapter

from recformer.errors import StoreError
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import MAX_K, Ranks, SetRanks
from recformer.files import gate
from recformer.files.writing import write_atomically, write_json
from recformer.run.paths import CheckpointRef, Root

_PROTOCOL = TypeAdapter(Protocol)
FORMAT = 3  # of equal scores the lower token is listed first


@dataclass(frozen=True)
class StoreKey:
    """Where the ranks of one model are kept, and which state of the model they must be of."""

    folder: Path
    name: str
    """best, last, or a baseline's name."""
    digest: str
    """Of the checkpoint's content, or of the baseline's source."""

    def path(self, protocol: Protocol) -> Path:
        return self.folder / f"{self.name}-{protocol.key}.parquet"


def store_key_of(root: Root, checkpoint: CheckpointRef) -> StoreKey | None:
    """The key of a run's checkpoint as it is now; None for a file outside of models/, which has no place.

    Raises StoreError when the checkpoint cannot be read.
    """
    if checkpoint.run_id is None:
        return None
    return StoreKey(root.run(checkpoint.run_id) / "eval", checkpoint.name, digest_of(checkpoint.path))


def digest_of(path: Path) -> str:
    """16 hex digits of a file's content. Raises StoreError when it cannot be read."""
    try:
        with gate.open_file(path, gate.CHECKPOINT) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror}") from error


def stored_ranks(store_key: StoreKey, protocol: Protocol) -> Ranks | None:
    """The ranks under a protocol, None where they are missing, damaged or of an older state of the model."""
    path = store_key.path(protocol)
    if not path.is_file():
        return None
    try:
        record = gate.read_object(path.with_suffix(".json"), gate.EVALUATION)
        if record is None or record.get("format") != FORMAT or record.get("checkpoint") != store_key.digest:
            return None
        with gate.open_file(path, gate.RANKS) as file:
            stored = parquet.ParquetFile(file, page_checksum_verification=True)
            # Checked before it is unpacked: a few bytes may say the same number a billion times.
            if stored.metadata.num_rows != protocol.cases or not _is_plain(stored.schema_arrow):
                return None
            ranks = _from_table(stored.read())
        return ranks if len(ranks) == protocol.cases else None
    except (StoreError, OSError, ValueError, KeyError, TypeError, NotImplementedError):
        return None  # computed again and written over


def all_stored(store_key: StoreKey) -> Iterator[tuple[Protocol, Ranks]]:
    """Everything stored of a model as it is now, whatever the protocol; damaged results are left out."""
    for path in sorted(store_key.folder.glob(f"{store_key.name}-*.json")):
        try:
            record = gate.read_object(path, gate.EVALUATION) or {}
            protocol = gate.validated(record.get("protocol"), _PROTOCOL, path, gate.EVALUATION)
        except StoreError:
            continue
        ranks = stored_ranks(store_key, protocol)
        if ranks is not None:
            yield protocol, ranks


def store_ranks(store_key: StoreKey, protocol: Protocol, ranks: Ranks) -> None:
    """Keep the ranks of the model that has the key's digest. Raises StoreError when the disk refuses."""
    path = store_key.path(protocol)
    write_atomically(path, lambda temporary: parquet.write_table(_to_table(ranks), temporary, write_page_checksum=True))
    record = {
        "format": FORMAT,
        "checkpoint": store_key.digest,
        "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(path.with_suffix(".json"), record | {"protocol": protocol.as_dict()})


def _is_plain(schema: Any) -> bool:
    """Whether each column is of numbers, or of lists of as many numbers as a list here has."""
    for field in schema:
        is_list = pa.types.is_fixed_size_list(field.type)
        if is_list and field.type.list_size != MAX_K:
            return False
        kind = field.type.value_type if is_list else field.type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            return False
    return True


def _to_table(ranks: Ranks) -> Any:
    return pa.table({field.name: _to_column(getattr(ranks, field.name)) for field in fields(ranks)})


def _to_column(values: NDArray[Any]) -> Any:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _from_table(table: Any) -> Ranks:
    kind = SetRanks if "targets" in table.column_names else Ranks
    return kind(**{field.name: _from_column(table[field.name].combine_chunks()) for field in fields(kind)})


def _from_column(column: Any) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(-1, column.type.list_size)
    return column.to_numpy()
