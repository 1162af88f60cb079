"""The bin: deleted runs, kept as they were until they are restored or removed for good.

A run lies in `runs/.bin/<entry>` and `models/.bin/<entry>`, where an entry is the run's id, "~", and when it was
deleted in seconds since 1970. Moving there and back is renaming within one folder: nothing is copied, however large.
TensorBoard walks hidden folders too, and takes every file that is called so for a log: in the bin they are called
otherwise, and get their names back before they leave it.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from recformer.errors import JobError, StoreError, UsageError
from recformer.files.names import RUN_ID, checked_run_id
from recformer.run.job_records import read_job, read_status
from recformer.run.locks import edit_lock, record_lock, train_lock
from recformer.run.overview import shown_name
from recformer.run.paths import Root, entries_of, known_run, reserve_run_id
from recformer.run.process import lives
from recformer.run.state import derive_state

BIN = ".bin"  # no run id begins with a dot
LOG, HIDDEN_LOG = "tfevents", "tfbinned"  # in the names of logs; of one length, since a name may be as long as can be
ENTRY = re.compile(rf"({RUN_ID.pattern})~([0-9]{{1,12}})")
T = TypeVar("T")


@dataclass(frozen=True)
class Discarded:
    """A run in the bin."""

    entry: str
    run_id: str
    name: str
    """What people called it; its id where its records do not tell."""
    discarded_at: float
    """When it was deleted, in seconds since 1970."""
    bytes: int


def discard(root: Root, run_id: str) -> str:
    """Move a run with its checkpoints to the bin, and return its entry there.

    Raises UsageError for an unknown run, JobError when it waits, trains or is just being started, and StoreError
    when the disk refuses; the run then is where it was.
    """
    checked_run_id(run_id)
    with edit_lock(root):
        folder = root.run(known_run(root, run_id))
        try:
            folder.mkdir(parents=True, exist_ok=True)  # a run may have checkpoints alone
            with record_lock(folder):  # nobody launches it now
                _refuse_when_at_work(folder)
                with train_lock(folder):
                    second = int(time.time())
                    while any(side.exists() for side in _sides(root, f"{run_id}~{second}")):
                        second += 1
                    entry = f"{run_id}~{second}"
                    runs, models = _sides(root, entry)
                    # In this order: where only the checkpoints are in the bin, a crash came between the two.
                    _move([(root.model(run_id), models), (folder, runs)])
        except OSError as error:  # a lock that cannot be written
            raise StoreError(_refused(folder, error)) from error
        _hide_logs(root)
    return entry


def discarded(root: Root) -> list[Discarded]:
    """What is in the bin, the newest first; an entry with one of its two folders too. Raises StoreError."""
    found = [_discarded(root, entry) for entry in _entries(root)]
    return sorted(found, key=lambda one: (-one.discarded_at, one.entry))


def restore(root: Root, entry: str) -> str:
    """Put a run back under its id, or under a free one made of it where that is taken now; which one it is.

    `entry` may also be the id of a run that the bin holds once. Raises UsageError for an entry that the bin does not
    have, and StoreError when the disk refuses; the run then is in the bin as before.
    """
    with edit_lock(root):
        of_run = [one for one in _entries(root) if one.rpartition("~")[0] == entry]
        entry = of_run[0] if len(of_run) == 1 else entry
        runs, models = _known_sides(root, entry)
        try:
            _show_logs(runs)
            run_id = _run_id_for(root, entry.rpartition("~")[0], only_models=not runs.exists())
            try:
                _move([(runs, root.run(run_id)), (models, root.model(run_id))])
            except StoreError:
                with suppress(OSError):
                    root.run(run_id).rmdir()  # the folder that was reserved; one that holds anything stays
                raise
            return run_id
        finally:
            _hide_logs(root)


def empty(root: Root, entry: str | None = None) -> None:
    """Remove one entry of the bin for good, or all of them.

    Raises UsageError for an entry that the bin does not have, and StoreError when the disk refuses.
    """
    with edit_lock(root):
        for one in _entries(root) if entry is None else [entry]:
            for folder in _known_sides(root, one):
                _remove(folder)


def _refuse_when_at_work(folder: Path) -> None:
    """Raises JobError when the run's record names a process that waits, trains or ends. A damaged one names none."""
    job = _readable(read_job, folder)
    if job is None:
        return
    state = derive_state(job, _readable(read_status, folder), job.alive, time.time())
    if state.active:
        raise JobError(f"run {folder.name!r} is {state.name}, so it cannot be deleted; stop it first")
    if lives(job.supervisor_pid, job.supervisor_birth):
        raise JobError(f"run {folder.name!r} is just ending, so it cannot be deleted yet; try again in a moment")


def _readable(read: Callable[[Path], T | None], folder: Path) -> T | None:
    try:
        return read(folder)
    except StoreError:
        return None


def _sides(root: Root, entry: str) -> tuple[Path, Path]:
    """An entry's folders in runs/ and in models/, whether they are there or not. Raises UsageError for no entry."""
    if not ENTRY.fullmatch(entry):
        raise UsageError(f"{entry!r} is no entry of the bin: a run's id, '~' and digits", cli="See: runs bin")
    return root.runs / BIN / entry, root.models / BIN / entry


def _known_sides(root: Root, entry: str) -> tuple[Path, Path]:
    """An entry's folders, at least one of which is there. Raises UsageError otherwise."""
    sides = _sides(root, entry)
    if not any(side.exists() for side in sides):
        there = ", ".join(_entries(root)[:10]) or "nothing"
        raise UsageError(f"there is no {entry!r} in the bin; it holds {there}")
    return sides


def _entries(root: Root) -> list[str]:
    found = [*entries_of(root.runs / BIN), *entries_of(root.models / BIN)]
    return sorted({entry.name for entry in found if ENTRY.fullmatch(entry.name)})


def _discarded(root: Root, entry: str) -> Discarded:
    run_id, _, second = entry.rpartition("~")
    sides = _sides(root, entry)
    name = _readable(lambda folder: shown_name(folder, run_id), sides[0]) or run_id
    size = 0
    for file in [*_files_below(sides[0]), *_files_below(sides[1])]:
        with suppress(OSError):  # removed while we looked
            size += file.lstat().st_size
    return Discarded(entry, run_id, name, float(second), size)


def _files_below(folder: Path) -> list[Path]:
    return [Path(parent) / file for parent, _, files in os.walk(folder) for file in files]


def _run_id_for(root: Root, run_id: str, only_models: bool) -> str:
    """The id to restore a run under; its folder in runs/ is made, so that nobody else takes it."""
    if only_models and not root.model(run_id).exists():
        return run_id  # the other half of a run whose deleting was cut off may be there still
    try:
        if not root.model(run_id).exists():
            root.run(run_id).mkdir(parents=True)
            return run_id
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(_refused(root.run(run_id), error)) from error
    return reserve_run_id(root, run_id)


def _move(moves: list[tuple[Path, Path]]) -> None:
    """Rename all of what is there of `moves` (from, to), or nothing. Raises StoreError when the disk refuses."""
    done: list[tuple[Path, Path]] = []
    for source, target in moves:
        if not os.path.lexists(source):  # a run without checkpoints, or without records
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            done.append((source, target))
        except OSError as error:
            for before, after in reversed(done):
                with suppress(OSError):  # then the bin lists that half
                    after.rename(before)
            raise StoreError(_refused(source, error)) from error


def _hide_logs(root: Root) -> None:
    """Rename the logs of all that is in the bin, those of older versions and of what was cut off too.

    What the disk refuses is shown by TensorBoard until the next time; nothing else comes of it.
    """
    for entry in _entries(root):
        _rename_logs(root.runs / BIN / entry, LOG, HIDDEN_LOG)


def _show_logs(folder: Path) -> None:
    """Give the logs in a folder of the bin their names back. Raises StoreError when the disk refuses."""
    if (error := _rename_logs(folder, HIDDEN_LOG, LOG)) is not None:
        raise StoreError(_refused(folder, error)) from error


def _rename_logs(folder: Path, word: str, other: str) -> OSError | None:
    """Put `other` in place of `word` in the names of files; what the disk refused, if anything."""
    refusal = None
    for file in _files_below(folder):
        target = file.with_name(file.name.replace(word, other))
        try:
            if word in file.name and not os.path.lexists(target):  # neither of two files is written over
                file.rename(target)
        except OSError as error:
            refusal = error
    return refusal


def _refused(folder: Path, error: OSError) -> str:
    return (
        f"could not move {folder}: {error.strerror or error}; nothing of it was lost. "
        "Free some space or check the folder's permissions, then try again"
    )


def _remove(folder: Path) -> None:
    try:
        if folder.is_symlink():  # a run that somebody keeps on another disk: the link goes, what it leads to stays
            _show_logs(folder)
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"could not remove {folder}: {error.strerror or error}; what is left of it stays in the bin. "
            "Check the folder's permissions, then try again"
        ) from error
