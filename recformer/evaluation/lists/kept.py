"""Lists as they are kept: models/<run>/lists.parquet, item tokens by user, and what they were made for."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from recformer.data.rows import UNREADABLE, first_words
from recformer.data.split.base import Part
from recformer.data.ties import TimeTies
from recformer.errors import EvaluationError, StoreError
from recformer.evaluation.protocol import Protocol
from recformer.files import gate
from recformer.files.gate import Line
from recformer.files.writing import write_atomically

MOST_PLACES = 200
"""Of a list; what comes further down is not kept."""
UNKNOWN_ITEM = -1
"""Stands for an item that the dataset does not have: its place stays taken."""
_SCHEMA = pa.schema({"user": pa.int32(), "item": pa.int32()})
_RECORD = b"recformer"


class ListsRecord(BaseModel):
    """What lists were made for, and how they are to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Line
    fingerprint: Line
    split: dict[str, Any]
    """Name and options, without how ties in time are broken."""
    time_ties: TimeTies
    part: Part
    k: int | None = Field(ge=1, le=MOST_PLACES)
    """How long the lists were made, where that was said: a shorter one is then all that the model recommends. None:
    nobody knows what comes after the end of a list."""

    @property
    def place(self) -> str:
        """What they are for, in words."""
        options = "".join(f", {name}={value}" for name, value in self.split.items() if name != "name")
        return (
            f"the {self.part} part of {self.split['name']}{options} (ties in time: {self.time_ties}) of {self.dataset}"
        )


@dataclass(frozen=True, eq=False)
class KeptLists:
    """Lists of users, best first."""

    users: NDArray[np.int32]
    """(n,) user tokens, ascending."""
    starts: NDArray[np.int64]
    """(n + 1,) where each user's list begins in `items`."""
    items: NDArray[np.int32]
    """Item tokens, or UNKNOWN_ITEM; no item is twice in a list."""
    record: ListsRecord

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


def check_made_for(record: ListsRecord, protocol: Protocol, model: object) -> None:
    """Raises EvaluationError unless lists were made for the protocol's dataset, split and part."""
    made = (record.fingerprint, record.split, record.time_ties, record.part)
    if made == (protocol.fingerprint, protocol.split, protocol.time_ties, protocol.part):
        return
    asked = record.model_copy(
        update={name: getattr(protocol, name) for name in ("dataset", "fingerprint", "split", "time_ties", "part")}
    )
    if asked.place == record.place:  # another dataset of the same name
        why = (
            f"{record.dataset} has changed since: its fingerprint was {record.fingerprint}, now {protocol.fingerprint}"
        )
    else:
        why = f"they are for {record.place}, and {asked.place} is asked for"
    raise EvaluationError(
        f"{model} has lists made elsewhere: {why}",
        cli=f"Ask for that (--split {record.split['name']} --time-ties {record.time_ties} --part {record.part}), or "
        "import lists for what is asked for",
        page="Choose that split, part and ties, or import lists for what is asked for",
    )


def write_lists(path: Path, lists: KeptLists) -> None:
    """Keep lists: a row for each place, list after list. Raises StoreError when the disk refuses."""
    table = pa.table([np.repeat(lists.users, lists.lengths), lists.items], schema=_SCHEMA)
    table = table.replace_schema_metadata({_RECORD: lists.record.model_dump_json()})
    write_atomically(path, lambda temporary: parquet.write_table(table, temporary, write_page_checksum=True))


def read_record(path: Path) -> ListsRecord:
    """What the lists in a file were made for. Raises StoreError."""
    with _opened(path) as source:
        return _record(path, source)


def read_kept(path: Path, num_users: int, num_items: int) -> KeptLists:
    """The lists in a file, of a dataset with so many users and items. Raises StoreError."""
    with _opened(path) as source:
        record = _record(path, source)
        # Checked before it is unpacked: a few bytes may say the same number a billion times.
        rows_fit = 0 < source.metadata.num_rows <= num_users * MOST_PLACES
        if not rows_fit or not source.schema_arrow.equals(_SCHEMA):
            raise gate.refused(path, gate.LISTS, "it holds no lists of such a dataset")
        table = source.read(use_threads=False)
    owners, items = table["user"].to_numpy(), table["item"].to_numpy()
    in_order = bool((np.diff(owners) >= 0).all())
    if not in_order or not _within(owners, 0, num_users) or not _within(items, UNKNOWN_ITEM, num_items):
        raise gate.refused(path, gate.LISTS, "its users or items are not those of the dataset")
    users, starts = np.unique(owners, return_index=True)
    return KeptLists(users, np.append(starts, len(owners)), items, record)


def _within(values: NDArray[np.int32], low: int, end: int) -> bool:
    return not len(values) or bool(values.min() >= low and values.max() < end)


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    try:
        with gate.open_file(path, gate.LISTS) as file:
            yield parquet.ParquetFile(file, page_checksum_verification=True)
    except FileNotFoundError:
        raise StoreError(f"{path} is not there. Import the lists again") from None
    except UNREADABLE as error:
        raise gate.refused(path, gate.LISTS, first_words(error)) from None


def _record(path: Path, source: Any) -> ListsRecord:
    text = (source.schema_arrow.metadata or {}).get(_RECORD)
    if text is None:
        raise gate.refused(path, gate.LISTS, "it does not say what its lists were made for")
    return gate.validated(gate.parse_json(text, path, gate.LISTS), TypeAdapter(ListsRecord), path, gate.LISTS)
