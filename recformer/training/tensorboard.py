"""The run's TensorBoard logs: one counts epochs, and has one point an epoch under each tag; one counts steps."""

import io
import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar, text

from recformer.errors import StoreError
from recformer.logs.bounds import stamp_in_name

# The generated module builds its classes when imported, where type checkers do not see them.
_EVENT: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_SESSION: Any = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]
VERSION = "brain.Event:2"
_numbers = itertools.count()


def stamps(folder: Path) -> list[float]:
    """When each log in a run's folder was begun, in seconds since 1970, by its name."""
    return [stamp for path in folder.glob("*tfevents*") if (stamp := stamp_in_name(path.name)) is not None]


class TensorBoardWriter:
    """Writes scalars at the number of an epoch, or of a step (the first is 1), each of them whole or not at all.

    It writes at once, so that readers see them live: TensorBoard's own writer does it in a thread, which a full disk
    ends with a stack trace. Every method raises StoreError when the disk refuses.
    """

    def __init__(self, folder: Path, done: int) -> None:
        """`done`: how many epochs, or steps, the run goes on from."""
        # What a crashed process logged after its last save is void: the resumed run logs it again.
        before = stamps(folder)
        purge = done > 0 or bool(before)
        # Readers take a run's files in the order of their times. After a clock was set back, this one would come
        # before those that it continues: its time then runs ahead.
        self._ahead = max(max(before, default=0) + 2 - time.time(), 0.0)
        name = f"{int(self._now()):010}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._path = folder / f"events.out.tfevents.{name}"
        try:
            self._file = self._path.open("xb", buffering=0)
        except OSError as error:
            raise self._refused(error) from error
        start = [_EVENT(wall_time=self._now(), file_version=VERSION)]
        if purge:
            start.append(_EVENT(step=done + 1, wall_time=self._now(), session_log=_SESSION(status=_SESSION.START)))
        self._append(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log all `scalars` (tag to value) at the epoch, or step, `step`."""
        self.write_all([(step, time.time(), scalars)])

    def write_all(self, rows: Iterable[tuple[int, float, Mapping[str, float]]]) -> None:
        """Log several steps at once, each with its time (seconds since 1970) and scalars."""
        self._append(
            _EVENT(step=step, wall_time=wall_time + self._ahead, summary=scalar(tag, value))
            for step, wall_time, scalars in rows
            for tag, value in scalars.items()
        )

    def note(self, title: str, words: str) -> None:
        """Log a text, such as the configuration."""
        self._append([_EVENT(step=0, wall_time=self._now(), summary=text(title, f"```\n{words}\n```"))])

    def _append(self, events: Iterable[Any]) -> None:
        records = io.BytesIO()
        for event in events:
            RecordWriter(records).write(event.SerializeToString())
        before, left = self._file.tell(), records.getbuffer()
        try:
            while left:  # a disk that is nearly full takes a part, and refuses the rest
                left = left[self._file.write(left) :]
        except OSError as error:
            with suppress(OSError):
                self._file.seek(before)
                self._file.truncate()
            raise self._refused(error) from error

    def _now(self) -> float:
        return time.time() + self._ahead

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"could not write the log {self._path}: {error.strerror or error}; what was logged before is unchanged. "
            "Free some space or check the folder's permissions, then resume"
        )
