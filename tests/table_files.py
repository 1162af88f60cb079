"""Tables of interactions in every form that is read, and the dataset they must give, made in plain Python."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from recformer.data.dataset import Dataset
from recformer.data.mapping import Form, Mapping, TimeUnit

Row = tuple[str, str, int, float]
"""User, item, seconds since 1970, rating."""
NAMES = ["who", "what", "when", "stars"]
PACKINGS = ("", ".gz", ".zst")


@dataclass(frozen=True)
class Writing:
    """How a table is written."""

    format: str = "delimited"
    separator: str = ","
    encoding: str = "utf-8"
    header: bool = True
    unit: TimeUnit = "s"
    packing: str = ""
    newline: str = "\n"
    mark: bool = False
    """Whether a byte-order mark comes first."""
    quote_all: bool = False

    @property
    def mapping(self) -> Mapping:
        names = NAMES if self.header or self.format != "delimited" else ["1", "2", "3", "4"]
        form = Form(self.format, self.separator, self.encoding, self.header, self.separator != "::")
        return Mapping(("table" + self.packing,), *names, time_unit=self.unit, form=form)


def write_table(folder: Path, rows: Sequence[Row], writing: Writing) -> Path:
    """The file of `rows`, as `writing.mapping` names it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"table{writing.packing}"
    path.write_bytes(packed(content(rows, writing), writing.packing))
    return path


def content(rows: Sequence[Row], writing: Writing) -> bytes:
    values = [[user, item, _time(time, writing.unit), f"{rating:g}"] for user, item, time, rating in rows]
    if writing.format == "parquet":
        frame = pd.DataFrame(rows, columns=NAMES)
        factor = {"s": 1, "ms": 10**3, "us": 10**6}.get(writing.unit)
        when = frame["when"]
        frame["when"] = pd.to_datetime(when, unit="s", utc=True) if factor is None else when * factor
        return frame.to_parquet(index=False)
    if writing.format == "json_lines":
        lines = [json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in values]
        return ("\n".join(lines) + "\n").encode()
    if writing.separator == "::":
        lines = ["::".join(row) for row in ([NAMES] if writing.header else []) + values]
        return "".join(line + writing.newline for line in lines).encode(writing.encoding)
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if writing.quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=writing.separator, lineterminator=writing.newline, quoting=quoting)
    writer.writerows(([NAMES] if writing.header else []) + values)
    return (b"\xef\xbb\xbf" if writing.mark else b"") + text.getvalue().encode(writing.encoding)


def packed(data: bytes, packing: str) -> bytes:
    if packing == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as out:
            out.write(data)
        return sink.getvalue().to_pybytes()
    return gzip.compress(data, mtime=0) if packing == ".gz" else data


def assert_is(dataset: Dataset, rows: Sequence[Row]) -> None:
    """The dataset has the users, items, sequences, times and ratings of `rows`."""
    histories: dict[str, list[Row]] = {}
    for row in rows:
        histories.setdefault(row[0], []).append(row)
    assert sorted(map(str, dataset.user_ids)) == sorted(histories)
    assert sorted(map(str, dataset.item_ids)) == sorted({row[1] for row in rows})
    assert list(dataset.user_ids) == sorted(dataset.user_ids) and list(dataset.item_ids) == sorted(dataset.item_ids)
    assert dataset.ratings is not None
    for token, user in enumerate(dataset.user_ids):
        own = slice(dataset.offsets[token], dataset.offsets[token + 1])
        expected = sorted(histories[str(user)], key=lambda row: row[2])  # stable: ties in the order of the lines
        assert [str(dataset.item_ids[item]) for item in dataset.items[own]] == [row[1] for row in expected]
        assert dataset.timestamps[own].tolist() == [row[2] for row in expected]
        assert dataset.ratings[own].tolist() == [row[3] for row in expected]


def _time(time: int, unit: TimeUnit) -> str:
    if unit == "iso":
        return datetime.fromtimestamp(time, UTC).isoformat()
    return str(time * {"s": 1, "ms": 10**3, "us": 10**6}[unit])
