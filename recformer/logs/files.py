"""Which files belong to a log: one definition for who reads it, watches it, imports it and lists it.

They are the regular files with "tfevents" in their names, in a folder and the folders in it. Links are followed, as in
TensorBoard's layout where a run is a link to a folder elsewhere; each real folder and file counts once, so that no link
leads in a circle. Hidden files and folders are none of the log's.
"""

import os
import stat as kinds
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from recformer.logs.bounds import printable

MARK = "tfevents"
DEEPEST = 12  # folders within folders
MOST_FOLDERS = 2000  # a link may lead to a whole disk
_Identity = tuple[int, int]


@dataclass
class EventFiles:
    """The event files of a log."""

    folders: dict[str, dict[str, os.stat_result]] = field(default_factory=dict)
    """Each folder with event files, as a path within the log's own (that is ""): name and state of each file."""
    left_out: list[str] = field(default_factory=list)
    """What was not looked at and why, in words."""

    def paths(self, folder: Path) -> list[Path]:
        """The files' paths, in the order in which TensorBoard reads them; `folder` is the log's own."""
        return sorted(folder / name / file for name, files in self.folders.items() for file in files)


def is_event_file(name: str) -> bool:
    """Whether a file is called as event files are."""
    return MARK in name and not name.startswith(".")


def find_event_files(folder: Path) -> EventFiles:
    """The event files in a log's folder and below. Raises OSError where the folder itself cannot be read."""
    return _Walk(folder).found


def newest(folder: Path) -> float | None:
    """When a log was last written to, seconds since 1970; None where it has no file that can be looked at."""
    with suppress(OSError):
        folders = find_event_files(folder).folders
        return max((stat.st_mtime for files in folders.values() for stat in files.values()), default=None)
    return None


class _Walk:
    """Looks through the real folders first, then through what links lead to."""

    def __init__(self, folder: Path) -> None:
        self.found = EventFiles()
        self._root = folder
        self._folders: deque[str] = deque([""])
        self._links: deque[str] = deque()
        self._passed: list[str] = []  # real folders, whose identities matter only once a link leads to another one
        self._seen: set[_Identity] | None = None
        self._files: set[_Identity] = set()
        for _ in range(MOST_FOLDERS):
            if not self._folders and not self._next_link():
                return
            self._look_into(self._folders.popleft())
        if self._folders or self._links:
            self.found.left_out.append(f"it has more than {MOST_FOLDERS:,} folders; the others are not read")

    def _next_link(self) -> bool:
        """Follow links to files, up to one that leads to a folder; False where there is none."""
        while self._links and not self._folders:
            self._follow(self._links.popleft())
        return bool(self._folders)

    def _look_into(self, name: str) -> None:
        try:
            if self._was_seen(name):
                return
            with os.scandir(self._root / name) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if not name:
                raise
            self.found.left_out.append(f"its folder {name} could not be read: {error.strerror or error}")
            return
        for entry in entries:
            path = f"{name}/{entry.name}" if name else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                self._links.append(path)
            elif entry.is_dir():
                self._go_down(path)
            elif is_event_file(entry.name):
                with suppress(OSError):  # deleted since it was listed
                    self._take(name, entry.name, entry.stat())

    def _was_seen(self, name: str) -> bool:
        if self._seen is None:
            self._passed.append(name)
            return False
        one = _identity((self._root / name).stat())
        if one in self._seen:
            return True
        self._seen.add(one)
        return False

    def _go_down(self, path: str) -> None:
        if path.count("/") < DEEPEST:
            self._folders.append(path)
        else:
            self.found.left_out.append(f"its folder {path} lies too deep: {DEEPEST} folders within each other are read")

    def _take(self, folder: str, name: str, stat: os.stat_result) -> None:
        if not kinds.S_ISREG(stat.st_mode):
            self.found.left_out.append(f"{printable(name)} is no regular file, so it is not read")
        elif _identity(stat) not in self._files:
            self._files.add(_identity(stat))
            self.found.folders.setdefault(folder, {})[name] = stat

    def _follow(self, path: str) -> None:
        try:
            stat = (self._root / path).stat()
        except OSError:  # it leads nowhere, or to itself
            if is_event_file(path.rpartition("/")[2]):
                self.found.left_out.append(f"the link {printable(path)} leads to no file")
            return
        folder, _, name = path.rpartition("/")
        if kinds.S_ISDIR(stat.st_mode):
            if self._seen is None:
                self._seen = {_identity((self._root / passed).stat()) for passed in self._passed}
            self._go_down(path)
        elif is_event_file(name):
            self._take(folder, name, stat)


def _identity(stat: os.stat_result) -> _Identity:
    return stat.st_dev, stat.st_ino
