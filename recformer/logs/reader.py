"""An incremental reader of a run's TensorBoard log: each refresh reads only what was added."""

import threading
from pathlib import Path

from recformer.errors import StoreError
from recformer.logs import index
from recformer.logs.bounds import printable
from recformer.logs.files import find_event_files
from recformer.logs.folder import FolderLog
from recformer.logs.series import Curve

INDEX_FILE = ".scalars.index"
_INDEX_FROM_BYTES = 1 << 16  # less is sooner read than looked up
_INDEX_SHARE = 8  # the index is written again when an eighth more was read


class RunLog:
    """The scalars in the event files of a folder and of the folders in it. May be used from several threads.

    A tag in the folder `train` within it is called `train/TAG`. With `index`, what was read is kept in that file, and
    taken from there by the next RunLog.
    """

    def __init__(self, folder: Path, index: Path | None = None) -> None:
        self.folder = folder
        self._index = index
        self._indexed: int | None = None  # bytes that the index on disk covers; None before it was looked for
        self._folders: dict[str, FolderLog] = {}
        self._curves: dict[str, Curve] | None = {}
        self.changes = 0
        """How often a refresh has found something new."""
        self.left_out: list[str] = []
        """Which folders were not read and why, in words."""
        self._lock = threading.Lock()

    def refresh(self) -> bool:
        """Read what was added since the last time; True when there was something new.

        A half-written record at the end of a file waits for its rest. A file that was cut or replaced is read
        again from its start. Raises StoreError when a file cannot be read.
        """
        with self._lock:
            try:
                changed = self._load() | self._refresh()
            except OSError as error:
                self._curves = None  # other files were read before it
                self.changes += 1
                path = error.filename or self.folder
                raise StoreError(f"{path} could not be read: {error.strerror or error}") from error
            if changed:
                self._curves = None
                self.changes += 1
                self._save()
            return changed

    def scalars(self) -> dict[str, Curve]:
        """The curves read so far, by tag (see logs.series.arranged for what shares a step)."""
        with self._lock:
            if self._curves is None:
                self._curves = self._all_curves()
            return dict(self._curves)

    @property
    def damaged(self) -> list[tuple[Path, int]]:
        """File and offset (bytes) of each place where records were left out because they are damaged."""
        with self._lock:
            return [
                (folder.path / file.name, offset)
                for folder in self._folders.values()
                for file in sorted(folder.files.values(), key=lambda file: file.name)
                for offset in file.damage
            ]

    @property
    def resumed(self) -> list[tuple[int, float]]:
        """First step and wall time of each session that took up an earlier one, as they were written."""
        with self._lock:
            folder = self._folders.get("")
            return [] if folder is None else [start for file in folder.files.values() for start in file.starts]

    def _load(self) -> bool:
        if self._indexed is not None:
            return False
        known = None if self._index is None else index.load(self._index, self.folder)
        self._folders = known or {}
        self._indexed = self._bytes_known()
        return known is not None

    def _refresh(self) -> bool:
        files = find_event_files(self.folder)
        found, changed = files.folders, files.left_out != self.left_out
        self.left_out = files.left_out
        for gone in self._folders.keys() - found.keys():
            del self._folders[gone]
            changed = True
        for name, entries in found.items():
            folder = self._folders.setdefault(name, FolderLog(self.folder / name))
            changed |= folder.refresh(entries)
        return changed

    def _save(self) -> None:
        known = self._bytes_known()
        new = known - (self._indexed or 0)
        if self._index is not None and (new < 0 or new >= max(_INDEX_FROM_BYTES, known // _INDEX_SHARE)):
            index.save(self._index, self._folders)
            self._indexed = known

    def _bytes_known(self) -> int:
        return sum(file.offset for folder in self._folders.values() for file in folder.files.values())

    def _all_curves(self) -> dict[str, Curve]:
        curves: dict[str, Curve] = {}
        for name, folder in sorted(self._folders.items()):
            for tag, series in folder.series.items():
                if len(series):
                    shown = first = f"{printable(name)}/{tag}" if name else tag
                    number = 1
                    while shown in curves:  # a folder and a tag may make the same name
                        number += 1
                        shown = f"{first} ({number})"
                    curves[shown] = series.curve()
        return dict(sorted(curves.items()))
