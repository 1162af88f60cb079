"""The rank store: Parquet files of ranks, their protocol beside them; computed once, read by app and command line."""

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from pydantic import TypeAdapter

from recformer.errors import StoreError
from recformer.evaluation.cases import Known
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import MAX_K, Ranks
from recformer.files import gate
from recformer.files.stamps import Stamp, settled, stamp
from recformer.files.writing import write_atomically, write_json
from recformer.model import baseline
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

_PROTOCOL, _KNOWN, _SETTINGS = TypeAdapter(Protocol), TypeAdapter(Known), TypeAdapter(dict[str, float])
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


def store_key_of(root: Root, model: ModelRef) -> StoreKey | None:
    """The key of a model as it is now; None for a file outside of models/, which has no place.

    A baseline's ranks are of the present source, so that a changed one is computed anew. Raises StoreError when the
    checkpoint cannot be read.
    """
    if model.is_baseline:
        return StoreKey(root.runs / ".baselines", model.name, _source_digest())
    if model.run_id is None:
        return None
    return StoreKey(root.run(model.run_id) / "eval", model.name, digest_of(model.path))


_digests: dict[Path, tuple[Stamp, str]] = {}


def digest_of(path: Path) -> str:
    """16 hex digits of a file's content, read again only when its stamp changes. Raises StoreError."""
    now = stamp(path)
    known = _digests.get(path)
    if known is not None and known[0] == now:
        return known[1]
    try:
        with gate.open_file(path, gate.CHECKPOINT) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror}") from error
    if now is not None and settled([now]):
        _digests[path] = now, digest
    return digest


@cache
def _source_digest() -> str:
    """16 hex digits over the source of all baselines and of what they share."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(baseline.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def stored_ranks(store_key: StoreKey, protocol: Protocol) -> tuple[Ranks, dict[str, float]] | None:
    """The ranks under a protocol, and the settings of a baseline; None where they are missing, damaged or of an older
    state of the model."""
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
            ranks = _from_table(stored.read(use_threads=False))
        settings = gate.validated(record.get("settings", {}), _SETTINGS, path, gate.EVALUATION)
        return (ranks, settings) if len(ranks) == protocol.cases else None
    except (StoreError, OSError, ValueError, KeyError, TypeError, NotImplementedError):
        return None  # computed again and written over


def stored_protocols(store_key: StoreKey) -> list[tuple[Protocol, Known]]:
    """The protocols under which a model as it is now is evaluated already, and what it had seen of their cases.

    Damaged records are left out, and those of earlier versions, whose cases were windows: another protocol.
    """
    found: list[tuple[Protocol, Known]] = []
    for path in sorted(store_key.folder.glob(f"{store_key.name}-*.json")):
        with suppress(StoreError):
            record = gate.read_object(path, gate.EVALUATION) or {}
            protocol = gate.validated(record.get("protocol"), _PROTOCOL, path, gate.EVALUATION)
            known = gate.validated(record.get("known"), _KNOWN, path, gate.EVALUATION)
            if record.get("format") == FORMAT and record.get("checkpoint") == store_key.digest:
                found.append((protocol, known))
    return found


def evaluated_files(root: Root) -> list[Path]:
    """The files of all ranks that are kept, in order."""
    return sorted([*root.runs.glob("*/eval/*.parquet"), *root.runs.glob(".baselines/*.parquet")])


def models_tested(root: Root, fingerprint: str) -> int:
    """How many checkpoints have been looked at on a test part of a dataset: each look makes the test less of one."""
    found: set[tuple[str, str]] = set()
    for path in root.runs.glob("*/eval/*.json"):
        with suppress(StoreError):
            record = gate.read_object(path, gate.EVALUATION) or {}
            protocol = gate.validated(record.get("protocol"), _PROTOCOL, path, gate.EVALUATION)
            if protocol.part == "test" and protocol.fingerprint == fingerprint:
                found.add((str(path.parent), str(record.get("checkpoint"))))
    return len(found)


def store_ranks(
    store_key: StoreKey, protocol: Protocol, ranks: Ranks, known: Known, settings: dict[str, float]
) -> None:
    """Keep the ranks of the model that has the key's digest. Raises StoreError when the disk refuses."""
    path = store_key.path(protocol)
    write_atomically(path, lambda temporary: parquet.write_table(_to_table(ranks), temporary, write_page_checksum=True))
    record = {
        "format": FORMAT,
        "checkpoint": store_key.digest,
        "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    record |= {"known": asdict(known), "settings": settings, "protocol": protocol.as_dict()}
    write_json(path.with_suffix(".json"), record)


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
    return pa.table({name: _to_column(values) for name, values in ranks.arrays().items()})


def _to_column(values: NDArray[Any]) -> Any:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _from_table(table: Any) -> Ranks:
    return Ranks(**{name: _from_column(table[name].combine_chunks()) for name in table.column_names})


def _from_column(column: Any) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(-1, column.type.list_size)
    return column.to_numpy()
