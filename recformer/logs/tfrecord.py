"""The framing of TensorBoard's event files (TFRecord): cutting bytes into records, past damage and up to the end.

A record is: length (u64), masked CRC-32C of the length (u32), data, masked CRC-32C of the data (u32), all
little-endian. Source: tensorflow/core/lib/io/record_writer.h.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

HEADER_BYTES = 12
FOOTER_BYTES = 4
MOST_RECORD_BYTES = 1 << 25  # a longer one would have to be held in memory whole
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
_FIRST_BLOCK, _LARGEST_BLOCK = 1 << 12, 1 << 20
# A CRC is affine: that of a length of 8 bytes is that of 8 zeros, changed by what each of its bytes alone changes.
_CRC_OF_ZEROS = np.uint32(crc32c(bytes(8)))
_CRC_TABLES = [
    np.array([crc32c(bytes([0] * place + [byte] + [0] * (7 - place))) for byte in range(256)], np.uint32)
    ^ _CRC_OF_ZEROS
    for place in range(4)
]


@dataclass
class Scan:
    """What `scan` found. Positions count from the start of the bytes it was given."""

    data: bytes
    starts: NDArray[np.int64]
    """(n,) where the data of each whole record with right checksums begins."""
    lengths: NDArray[np.int64]
    """(n,) its length, in bytes."""
    damaged: list[int] = field(default_factory=list)
    """Where damage begins that lies before `consumed`."""
    consumed: int = 0
    """How far all is settled. What comes after waits for more bytes."""
    suspect: int | None = None
    """Where damage seems to begin that more bytes may yet explain; never before `consumed`."""

    @property
    def records(self) -> list[tuple[int, bytes]]:
        """Position and data of each record."""
        spans = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        return [(start - HEADER_BYTES, self.data[start : start + length]) for start, length in spans]


def scan(data: bytes) -> Scan:
    """Cut `data`, which begins where a record begins, into records.

    A record with a wrong checksum is left out. The next one is then where its length says, or failing that
    at the next place that holds a valid header. Bytes that do not settle which are not consumed, so that
    scanning the same bytes in several portions finds the same records as scanning them at once.
    """
    starts: list[NDArray[np.int64]] = []
    lengths: list[NDArray[np.int64]] = []
    damaged: list[int] = []
    position, suspect = 0, None
    while len(data) - position >= HEADER_BYTES:
        start, length, reached = _chain(data, position)
        right = _data_is_right(data, start, length)
        starts.append(start[right])
        lengths.append(length[right])
        # Between two records of a chain a wrong one is simply left out. What comes after the last has yet to be found.
        damaged.extend((start[:-1][~right[:-1]] - HEADER_BYTES).tolist())
        ends_well = not len(right) or bool(right[-1])
        position = reached if ends_well else int(start[-1]) - HEADER_BYTES
        if len(data) - position < HEADER_BYTES or (ends_well and _length_at(data, position) is not None):
            break  # the end, or a record of which a part is there
        following = _next_record(data, position, None if ends_well else reached)
        if following is None:
            suspect = position
            break
        damaged.append(position)
        position = following
    return Scan(data, _joined(starts), _joined(lengths), damaged, position, suspect)


def _chain(data: bytes, position: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Starts and lengths of the whole records that follow one another from `position`, and where they end.

    Only the headers' checksums are looked at.
    """
    starts: list[int] = []
    lengths: list[int] = []
    known: dict[bytes, int] = {}  # most records have one of a few lengths, and so one of a few headers
    last = len(data) - HEADER_BYTES
    while position <= last:
        header = data[position : position + HEADER_BYTES]
        length = known.get(header)
        if length is None:
            length = _length_at(data, position)
            if length is None:
                break
            known[header] = length
        end = position + HEADER_BYTES + length + FOOTER_BYTES
        if end > len(data):
            break
        starts.append(position + HEADER_BYTES)
        lengths.append(length)
        position = end
    return np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64), position


def _length_at(data: bytes, position: int) -> int | None:
    """The length in the header at `position`, None where its checksum is wrong or no record is so long."""
    (length,) = _LENGTH.unpack_from(data, position)
    (expected,) = _CRC.unpack_from(data, position + _LENGTH.size)
    crc = crc32c(data[position : position + _LENGTH.size])
    right = (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF == expected
    return length if right and length <= MOST_RECORD_BYTES else None


def _data_is_right(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the checksum after each record's data is that of its data."""
    ends = starts + lengths
    found = [crc32c(data[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    crc = np.array(found, dtype=np.uint32)
    footers = ends[:, None] + np.arange(FOOTER_BYTES)
    expected = np.frombuffer(data, np.uint8)[footers].view("<u4")[:, 0]
    return _masked(crc) == expected


def _masked(crc: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)  # modulo 2³²


def _next_record(data: bytes, position: int, end: int | None) -> int | None:
    """Where the record after the damaged one at `position` begins, None while that cannot be told.

    `end` is where the damaged one ends by its own account, None when its header cannot be believed.
    """
    if end is not None:
        if len(data) - end < HEADER_BYTES:
            return None
        if _length_at(data, end) is not None:
            return end
    start, block = position + 1, _FIRST_BLOCK
    while len(data) - start >= HEADER_BYTES:
        if (found := _first_header(data[start : start + block + HEADER_BYTES - 1])) is not None:
            return start + found
        start, block = start + block, min(2 * block, _LARGEST_BLOCK)
    return None


def _first_header(data: bytes) -> int | None:
    """The first place in `data` (12 bytes or more) that holds a valid header; None where there is none."""
    if not data.strip(b"\0"):  # a hole: the checksum of no length is zero as well, and each place would be looked at
        return None
    raw = np.frombuffer(data, np.uint8)
    count = len(raw) - HEADER_BYTES + 1
    zero = raw == 0  # no record has 4 GiB, so the upper half of a length is
    places = np.flatnonzero(zero[4 : 4 + count] & zero[5 : 5 + count] & zero[6 : 6 + count] & zero[7 : 7 + count])
    crc = np.full(len(places), _CRC_OF_ZEROS, np.uint32)
    for byte, table in enumerate(_CRC_TABLES):
        crc ^= table[raw[places + byte]]
    right = _masked(crc) == raw[places[:, None] + np.arange(8, 12)].view("<u4")[:, 0]
    valid = places[right]
    return int(valid[0]) if len(valid) else None


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
