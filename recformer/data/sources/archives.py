"""Unpacking an archive somebody gave us: whole, inside its folder, and of bounded size."""

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from recformer.errors import DownloadError
from recformer.files import gate

MAX_BYTES = 4 * 1024**3
MAX_FILES = 10_000
_DRIVE = re.compile(r"[A-Za-z]:")
_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Progress:
    """How far one step of fetching or importing a dataset has come."""

    what: str
    """The step, such as "Downloading ml-100k"."""
    done: int
    """Bytes so far."""
    total: int | None
    """Bytes in all, None where nobody knows."""


Report = Callable[[Progress], None]


def unpack(archive: IO[bytes], target: Path, progress: Report, label: str, only: Sequence[str] = ()) -> None:
    """Unpack the zip archive in an open file into the folder `target`, a single top folder taken away.

    Of the files `only`, where they are given, none but those are unpacked, without their folders. Raises DownloadError
    when the archive is broken or encrypted, holds a name that leads outside, a link, too many files or too many bytes,
    or lacks one of `only`. `target` then holds a part: the caller throws it away.
    """
    with _clear_errors(label, target), gate.open_zip(archive, Path(label), gate.ARCHIVE) as opened:
        infos = [info for info in opened.infolist() if not only or info.filename in only]
        if only and len(infos) != len(only):
            raise _refused(label, f"it holds {len(infos)} of {', '.join(only)}", "an archive with all of them")
        members = _checked_members(infos, label)
        places = [PurePosixPath(member.filename).parts for member in members]
        if only:
            places = [parts[-1:] for parts in places]
        elif len({parts[0] for parts in places if parts}) == 1 and all(len(parts) > 1 for parts in places):
            places = [parts[1:] for parts in places]
        total = sum(member.file_size for member in members)
        done = 0
        for member, parts in zip(members, places, strict=True):
            done = _extract(opened, member, target.joinpath(*parts), done, label)
            progress(Progress(f"Unpacking {label}", done, total))


@contextmanager
def _clear_errors(label: str, target: Path) -> Generator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DownloadError(
            f"{label} is not a whole zip archive ({error}); nothing of it was kept. "
            "Download the archive again and check its size"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{label} could not be unpacked into {target.parent}: {error.strerror or error}; nothing of it "
            "was kept. Free some space or check the folder's permissions, then try again"
        ) from error


def _checked_members(infos: list[zipfile.ZipInfo], label: str) -> list[zipfile.ZipInfo]:
    """The files of the archive, without folders and macOS' extras. Raises DownloadError for unsafe ones."""
    if len(infos) > MAX_FILES:
        raise _refused(label, f"it holds {len(infos)} files", f"at most {MAX_FILES}")
    for info in infos:
        _check_name(info, label)
    members = [
        info
        for info in infos
        if not info.is_dir()
        and not info.filename.startswith("__MACOSX/")
        and info.filename.rpartition("/")[2] != ".DS_Store"
    ]
    total = sum(info.file_size for info in members)
    if total > MAX_BYTES:
        raise _refused(label, f"it unpacks to {total} bytes", f"at most {MAX_BYTES}")
    if not members:
        raise _refused(label, "it holds no file", "the files of a dataset")
    return members


def _check_name(info: zipfile.ZipInfo, label: str) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise _refused(label, f"the name {info.filename!r} leads outside", "names inside the archive's folder")
    if info.filename != name:
        raise _refused(label, f"the name {info.filename!r} holds a backslash", "names with '/'")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(label, f"{info.filename!r} is a link or a device", "files and folders")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others need memory as they say
        raise _refused(label, f"{info.filename!r} is compressed in an unusual way", "deflated files")
    if info.flag_bits & _ENCRYPTED:
        raise _refused(label, f"{info.filename!r} is encrypted", "an archive without a password")


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, done: int, label: str) -> int:
    """Write one file and return the bytes written so far; what a header claims of its size is not believed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, path.open("xb") as written:
        while chunk := source.read(_CHUNK):
            done += len(chunk)
            if done > MAX_BYTES:
                raise _refused(label, f"it unpacks to more than {MAX_BYTES} bytes", f"at most {MAX_BYTES}")
            written.write(chunk)
    return done


def _refused(label: str, found: str, allowed: str) -> DownloadError:
    return DownloadError(
        f"{label} was refused: {found}; allowed: {allowed}. Nothing of it was kept. Use the original archive"
    )
