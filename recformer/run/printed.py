"""The end of a log, however long the log is."""

import os
from pathlib import Path

from recformer.errors import StoreError
from recformer.files import gate

LOG_FILE = "train.log"
"""What a run's processes printed, in the run's folder."""
BLOCK_BYTES = 1 << 16
LIMIT_BYTES = 1 << 23  # a progress bar may write megabytes without ending a line


def tail(path: Path, lines: int = 200) -> str:
    """The last `lines` lines of a text file, reading its end only; "" where there is none, or why it cannot be read.

    Of a line that was overwritten by carriage returns (a progress bar) the last version is kept. Bytes that
    are not UTF-8 become the replacement character.
    """
    if lines <= 0:
        return ""
    try:
        with gate.open_file(path, gate.PRINTED) as file:
            data = _end(file.fileno(), lines)
    except FileNotFoundError:
        return ""
    except StoreError as error:
        return str(error)
    rows = data.decode("utf-8", errors="replace").removesuffix("\n").split("\n")
    return "\n".join(row.rstrip("\r").rpartition("\r")[2] for row in rows[-lines:])


def _end(handle: int, lines: int) -> bytes:
    """The file's last bytes, holding at least `lines` whole lines where it has so many."""
    start = os.fstat(handle).st_size
    limit = max(0, start - LIMIT_BYTES)
    blocks: list[bytes] = []
    newlines = 0
    # One more newline than lines: the last one usually ends the file, and the first row may be cut.
    while start > limit and newlines <= lines:
        size = min(BLOCK_BYTES, start - limit)
        start -= size
        block = os.pread(handle, size, start)
        newlines += block.count(b"\n")
        blocks.append(block)
    return b"".join(reversed(blocks))
