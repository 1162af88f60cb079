"""The trainer's sign of life: status.json, written every second from a thread of its own."""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import torch

from recformer.errors import StoreError
from recformer.run.job_records import Status, StatusState, write_status

PERIOD_S = 1.0  # the contract is at least every 2 s
BALLAST = ".ballast"
BALLAST_BYTES = 64 << 10


class Heartbeat:
    """Holds the latest status and writes it each second, however long a step, a validation or a compilation takes.

    A disk that refuses is reported once on standard error and tried again: a missing heartbeat must not end training.
    The last word must be written even to a full disk; a file that is given up then makes room for it.
    """

    def __init__(self, folder: Path, device: torch.device, num_epochs: int, steps: int, launch: str = "") -> None:
        self.folder = folder
        self._device = device
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._refused = False
        now = time.time()
        self._status = Status(
            state="starting",
            epoch=0,
            num_epochs=num_epochs,
            step=0,
            steps=steps,
            device=str(device),
            launch=launch,
            time=now,
            progress_time=now,
        )
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        with suppress(OSError):  # a disk that is full already: training will say so
            (self.folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # a disk that has turned read-only
            (self.folder / BALLAST).unlink(missing_ok=True)
        self._write()

    def update(self, **changes: Any) -> None:
        """Change fields of the status; written with the next beat. A moved `step` is progress."""
        with self._lock:
            if changes.get("step", self._status.step) != self._status.step:
                changes["progress_time"] = time.time()
            self._status = self._status.model_copy(update=changes)

    def end(self, state: StatusState, message: str | None = None) -> None:
        """The last word, written when the heartbeat is left; without `message`, what was said before stays."""
        self.update(state=state, phase="", eta_s=None, **({"message": message} if message else {}))

    def _beat(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._write()

    def _write(self) -> None:
        with self._lock:
            measured = {"memory_bytes": self._memory(), "free_memory_bytes": psutil.virtual_memory().available}
            self._status = self._status.model_copy(update={"time": time.time(), **measured})
            status = self._status
        if not self.folder.is_dir():
            return  # deleted meanwhile: not to be made again
        try:
            write_status(self.folder, status)
        except StoreError as error:
            if not self._refused:
                print(f"heartbeat: {error}", file=sys.stderr, flush=True)
            self._refused = True

    def _memory(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        return psutil.Process().memory_info().rss
