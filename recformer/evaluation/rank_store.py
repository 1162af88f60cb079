"""The rank store: Parquet files of ranks, their protocol beside them; computed once, read by app and command line."""

import hashlib
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet

from recformer.errors import StoreError
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import Ranks
from recformer.store import CheckpointRef, Root, read_json, write_atomically, write_json

FORMAT = 1


def digest_of(path: Path) -> str:
    """16 hex digits of a file's content. Raises StoreError when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror}") from error


def stored_ranks(root: Root, checkpoint: CheckpointRef, protocol: Protocol) -> Ranks | None:
    """The ranks of a checkpoint under a protocol, None where they are missing, damaged or of an older checkpoint."""
    path = _path(root, checkpoint, protocol)
    if path is None or not path.is_file():
        return None
    try:
        record = read_json(path.with_suffix(".json"))
        if record is None or record.get("format") != FORMAT or record.get("checkpoint") != digest_of(checkpoint.path):
            return None
        ranks = _from_frame(parquet.read_table(path, page_checksum_verification=True).to_pandas())
        return ranks if len(ranks) == protocol.cases else None
    except (StoreError, OSError, ValueError, KeyError, TypeError, NotImplementedError):
        return None  # computed again and written over


def all_stored(root: Root, checkpoint: CheckpointRef) -> list[tuple[Protocol, Ranks]]:
    """Everything stored of a run's checkpoint as it is now, whatever the protocol; damaged results are left out."""
    if checkpoint.run_id is None:
        return []
    found: list[tuple[Protocol, Ranks]] = []
    for path in sorted((root.run(checkpoint.run_id) / "eval").glob(f"{checkpoint.name}-*.json")):
        try:
            protocol = Protocol(**(read_json(path) or {}).get("protocol", {}))
        except (StoreError, TypeError):
            continue
        ranks = stored_ranks(root, checkpoint, protocol)
        if ranks is not None:
            found.append((protocol, ranks))
    return found


def store_ranks(root: Root, checkpoint: CheckpointRef, digest: str, protocol: Protocol, ranks: Ranks) -> None:
    """Keep the ranks of a run's checkpoint whose file had `digest`. A file outside of models/ has no place here.

    Raises StoreError when the disk refuses.
    """
    path = _path(root, checkpoint, protocol)
    if path is None:
        return

    def write(temporary: Path) -> None:
        _to_frame(ranks).to_parquet(temporary, write_page_checksum=True)

    write_atomically(path, write)
    record = {"format": FORMAT, "checkpoint": digest, "evaluated": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(path.with_suffix(".json"), record | {"protocol": protocol.as_dict()})


def _path(root: Root, checkpoint: CheckpointRef, protocol: Protocol) -> Path | None:
    if checkpoint.run_id is None:
        return None
    return root.run(checkpoint.run_id) / "eval" / f"{checkpoint.name}-{protocol.key}.parquet"


def _to_frame(ranks: Ranks) -> pd.DataFrame:
    columns = {f.name: getattr(ranks, f.name) for f in fields(Ranks)}
    return pd.DataFrame({name: list(value) if value.ndim == 2 else value for name, value in columns.items()})


def _from_frame(frame: pd.DataFrame) -> Ranks:
    columns = {f.name: frame[f.name].to_numpy() for f in fields(Ranks)}
    return Ranks(**{name: np.stack(list(value)) if value.dtype == object else value for name, value in columns.items()})
