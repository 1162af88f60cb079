"""The arrays of a dataset on disk, one file each, so that they can be mapped instead of read."""

import mmap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
from numpy.typing import NDArray

from recformer.files import gate

DTYPES = {"offsets": "<i8", "items": "<i4", "timestamps": "<i8", "ratings": "<f4", "parts": "u1"}
"""Types by name; each file is the numbers alone, in the order of the dataset."""

BLOCK = 1 << 20  # bytes
PIECE = 1 << 22  # entries of an array that are worked on at once


def array_path(folder: Path, name: str) -> Path:
    """Where the array called `name` is."""
    return folder / f"{name}.bin"


def write_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write a whole array. Raises OSError when the disk refuses."""
    array_path(folder, name).write_bytes(np.ascontiguousarray(array, DTYPES[name]).data)


def map_array(folder: Path, name: str) -> NDArray[Any]:
    """(n,) a read-only map of an array. Raises FileNotFoundError, and ValueError for an empty or cut file."""
    with gate.open_file(array_path(folder, name), gate.DATA_ARRAY) as file:
        return np.memmap(file, DTYPES[name], "r")


def map_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Maps of the arrays that are there, by name. Raises as `map_array`."""
    return {name: map_array(folder, name) for name in DTYPES if array_path(folder, name).exists()}


def let_go(array: NDArray[Any]) -> None:
    """Say that a mapped array was looked at and need not stay in memory; it is read from the disk when it is again."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def pieces(size: int) -> Iterator[slice]:
    """Consecutive pieces of arrays of `size` entries: what is computed of each need not be held for all at once."""
    for start in range(0, size, PIECE):
        yield slice(start, min(start + PIECE, size))


def whole_users(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First user, and the one after the last, of pieces of whole users with some PIECE entries each.

    `offsets` (U + 1,) are the bounds of each user, of whom the first may begin anywhere.
    """
    begins = np.searchsorted(offsets, np.arange(offsets[0], offsets[-1], PIECE))
    yield from pairwise(np.unique(np.append(begins, len(offsets) - 1)).tolist())


def taken(array: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """(P,) `array[places]` for ascending places (P,); of a mapped array little is in memory at a time."""
    found = np.empty(len(places), array.dtype)
    ends = np.searchsorted(places, np.arange(0, len(array) + PIECE, PIECE))
    for begin, end in pairwise(ends.tolist()):
        found[begin:end] = array[places[begin:end]]
        let_go(array)
    return found


def check_lengths(folder: Path, users: int, interactions: int) -> None:
    """Raise ValueError for an array that is not of so many users or interactions, without reading it: a damaged file
    may hold zeros for gigabytes."""
    for name, dtype in DTYPES.items():
        path = array_path(folder, name)
        length = users + 1 if name == "offsets" else interactions
        if path.exists() and path.stat().st_size != length * np.dtype(dtype).itemsize:
            raise ValueError(f"{path.name} does not hold {length:,} numbers")


def checksums(folder: Path) -> dict[str, int]:
    """The CRC-32C of each array that is there. Read, not mapped: what is looked at once need not stay in memory."""
    return {name: _checksum(array_path(folder, name)) for name in DTYPES if array_path(folder, name).exists()}


def _checksum(path: Path) -> int:
    found = 0
    with gate.open_file(path, gate.DATA_ARRAY) as file:
        while block := file.read(BLOCK):
            found = crc32c.crc32c(block, found)
    return found
