"""The framing of TensorBoard's event files (TFRecord): cutting bytes into records, past damage and up to the end.

A record is: length (u64), masked CRC-32C of the length (u32), data, masked CRC-32C of the data (u32), all
little-endian. Source: tensorflow/core/lib/io/record_writer.h.
"""

import struct
from dataclasses import dataclass, field

from crc32c import crc32c

HEADER_BYTES = 12
FOOTER_BYTES = 4
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
# No record has 4 GiB, so the upper half of a length is zero: a quick way to places where a header may be.
_UPPER_HALF = b"\0\0\0\0"


@dataclass
class Scan:
    """What `scan` found. Positions count from the start of the bytes it was given."""

    records: list[tuple[int, bytes]] = field(default_factory=list)
    """Position and data of each whole record whose checksums are right."""
    damaged: list[int] = field(default_factory=list)
    """Where damage begins that lies before `consumed`."""
    consumed: int = 0
    """How far all is settled. What comes after waits for more bytes."""
    suspect: int | None = None
    """Where damage seems to begin that more bytes may yet explain; never before `consumed`."""


def scan(data: bytes) -> Scan:
    """Cut `data`, which begins where a record begins, into records.

    A record with a wrong checksum is left out. The next one is then where its length says, or failing that
    at the next place that holds a valid header. Bytes that do not settle which are not consumed, so that
    scanning the same bytes in several portions finds the same records as scanning them at once.
    """
    found = Scan()
    position = 0
    while len(data) - position >= HEADER_BYTES:
        length = _length_at(data, position)
        end = position if length is None else position + HEADER_BYTES + length + FOOTER_BYTES
        if length is not None and end > len(data):
            break
        if length is not None and _data_is_right(data, position, length):
            start = position + HEADER_BYTES
            found.records.append((position, data[start : start + length]))
            position = found.consumed = end
            continue
        following = _next_record(data, position, None if length is None else end)
        if following is None:
            found.suspect = position
            break
        found.damaged.append(position)
        position = found.consumed = following
    return found


def _length_at(data: bytes, position: int) -> int | None:
    """The length in the header at `position`, None where its checksum is wrong."""
    (length,) = _LENGTH.unpack_from(data, position)
    (expected,) = _CRC.unpack_from(data, position + _LENGTH.size)
    return length if _masked_crc(data[position : position + _LENGTH.size]) == expected else None


def _data_is_right(data: bytes, position: int, length: int) -> bool:
    start = position + HEADER_BYTES
    (expected,) = _CRC.unpack_from(data, start + length)
    return _masked_crc(data[start : start + length]) == expected


def _next_record(data: bytes, position: int, end: int | None) -> int | None:
    """Where the record after the damaged one at `position` begins, None while that cannot be told.

    `end` is where the damaged one ends by its own account, None when its header cannot be believed.
    """
    if end is not None:
        if len(data) - end < HEADER_BYTES:
            return None
        if _length_at(data, end) is not None:
            return end
    upper = data.find(_UPPER_HALF, position + 1 + len(_UPPER_HALF))
    while upper >= 0:
        start = upper - len(_UPPER_HALF)
        if len(data) - start < HEADER_BYTES:
            return None
        if _length_at(data, start) is not None:
            return start
        upper = data.find(_UPPER_HALF, upper + 1)
    return None


def _masked_crc(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
