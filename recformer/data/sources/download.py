"""Fetching and importing datasets: a folder under data/ appears whole and checked, or not at all."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from filelock import FileLock, Timeout

from recformer.data.assemble import find_reader, read_dataset
from recformer.data.sources.archives import Progress, Report, unpack
from recformer.data.sources.grouplens import SETS
from recformer.data.sources.transfer import HostError, fetch_archive, fetch_checked, published_md5
from recformer.errors import DataError, DownloadError, StoreError, UsageError
from recformer.files import gate
from recformer.files.names import checked_run_id, run_id_from
from recformer.files.writing import write_json

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
GROUPLENS_VARIABLE = "RECFORMER_GROUPLENS_URL"
# RecBole's wheel carries ML-100K; it is fetched as a file and never installed.
WHEEL = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k/"
WHEEL_FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
LICENCE = (
    "MovieLens data © GroupLens, University of Minnesota: for research use, no redistribution without "
    "permission. Cite F. Maxwell Harper and Joseph A. Konstan (2015), The MovieLens Datasets: History and "
    "Context, ACM TiiS 5(4), Article 19."
)
SOURCE_FILE = "SOURCE.json"
_WHEEL_TIMEOUT = 300.0
_LOCK_POLL = 1.0

__all__ = ["Progress", "fetch", "import_zip", "provenance"]


def fetch(name: str, data_dir: Path, progress: Report, base_url: str | None = None) -> Path:
    """The folder `data_dir/name`, downloaded from GroupLens where it is not there yet.

    `name` is one of grouplens.SETS; `base_url` overrides GroupLens' address, as RECFORMER_GROUPLENS_URL does. Where
    GroupLens cannot be reached, ml-100k is taken from RecBole's wheel. An interrupted download is resumed
    by the next call. Two processes that fetch at once: one downloads, the other waits and returns its folder.

    Raises UsageError for an unknown name, DownloadError for an unreachable host, a checksum that is wrong (which no
    other source makes good) or not published, a full disk.
    """
    if name not in SETS:
        raise UsageError(f"there is no dataset {name!r} to fetch; allowed: {', '.join(SETS)}")
    url = base_url or os.environ.get(GROUPLENS_VARIABLE) or GROUPLENS
    folder = data_dir / name
    with _exclusive(name, data_dir, progress):
        if _is_there(folder):
            return folder
        try:
            return _fetch_grouplens(name, folder, f"{url.rstrip('/')}/{name}.zip", progress)
        except HostError as error:
            if name != "ml-100k":
                raise _by_hand(name, data_dir, str(error)) from error
            return _fetch_wheel(folder, progress, str(error))


def import_zip(file: Path | IO[bytes], name: str | None, data_dir: Path, progress: Report, file_name: str = "") -> Path:
    """Unpack an archive that somebody gave us into `data_dir/name`, once it is known to load.

    `file` is a path or an open binary file, such as an upload; without `name` the folder's name is made from
    the name of the file (`file_name` where it is given). Raises UsageError for a name that may not be joined
    to a path, DownloadError for a broken or unsafe archive and a name that is taken, DataError when what is
    inside cannot be read as a dataset.
    """
    label = file_name or Path(str(file if isinstance(file, Path) else getattr(file, "name", "upload.zip"))).name
    name = checked_run_id(name or run_id_from(Path(label).stem))
    folder = data_dir / name
    with _exclusive(name, data_dir, progress):
        if folder.exists():
            raise DownloadError(f"there is a dataset {name} already ({folder}); choose another name")
        with _opened(file, label) as opened, _landing(folder) as unpacked:
            origin = _origin_of_upload(opened, label)
            unpack(opened, unpacked, progress, label)
            try:
                read_dataset(unpacked)
            except DataError as error:
                message = str(error).replace(f"{unpacked}/", f"{label}/").replace(str(unpacked), label)
                raise DataError(f"{message}. Nothing of it was kept") from error
            _write_source(unpacked, *origin)
        return folder


def provenance(folder: Path) -> dict[str, Any] | None:
    """What SOURCE.json says: source, checksum, fetched_at, licence. None where there is none or it is damaged."""
    try:
        return gate.read_object(folder / SOURCE_FILE, gate.DATA_SOURCE)
    except StoreError:
        return None


def run_pip(arguments: list[str]) -> None:
    """Run this Python's pip. Raises DownloadError with the last line it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments],
            capture_output=True,
            text=True,
            timeout=_WHEEL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"pip could not be run: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise DownloadError(f"pip failed with exit code {done.returncode} and said: {said[-1]}")


def _fetch_grouplens(name: str, folder: Path, url: str, progress: Report) -> Path:
    def advance(done: int, total: int | None) -> None:
        progress(Progress(f"Downloading {name}", done, total))

    md5 = SETS[name].md5 or published_md5(url)
    archive = fetch_archive(url, f"md5:{md5}", folder.parent / ".downloads" / f"{name}.zip", advance)
    try:
        return _land(archive, folder, progress, f"{name}.zip", (url, f"md5 {md5}"))
    finally:
        archive.unlink(missing_ok=True)


def _fetch_wheel(folder: Path, progress: Report, reason: str) -> Path:
    """ML-100K out of RecBole's wheel; `reason` says why GroupLens was not used."""
    progress(Progress(f"Downloading ml-100k from {WHEEL}, as {reason}", 0, None))

    def download(output: Path) -> None:
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet"]
        try:
            run_pip(["download", *options, "-d", temporary, WHEEL])
        except DownloadError as error:
            both = f"{reason}; and {WHEEL}, which carries a copy, was not to be had: {error}"
            raise _by_hand("ml-100k", folder.parent, both) from error
        wheels = list(Path(temporary).glob("*.whl"))
        if len(wheels) != 1:
            raise DownloadError(f"pip left {len(wheels)} wheels for {WHEEL}, not 1; try again")
        wheels[0].replace(output)

    with tempfile.TemporaryDirectory(prefix="recformer-") as temporary:
        wheel = fetch_checked(WHEEL, f"sha256:{WHEEL_SHA256}", Path(temporary) / "wheel.zip", download)
        source = (f"wheel {WHEEL.replace('==', ' ')}", f"sha256 {WHEEL_SHA256}")
        return _land(wheel, folder, progress, WHEEL, source, [WHEEL_FOLDER + name for name in WHEEL_FILES])


def _land(
    archive: Path, folder: Path, progress: Report, label: str, origin: tuple[str, str], only: Sequence[str] = ()
) -> Path:
    """Unpack a downloaded archive into `folder`, with the record of where it came from."""
    with gate.open_file(archive, gate.ARCHIVE) as opened, _landing(folder) as unpacked:
        unpack(opened, unpacked, progress, label, only)
        find_reader(unpacked)[1].files(unpacked)
        _write_source(unpacked, *origin)
    return folder


def _by_hand(name: str, data_dir: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"{name} could not be downloaded: {reason}. Try again later, or download {name}.zip by hand from "
        "grouplens.org/datasets/movielens",
        cli=f"Unpack it into {data_dir}, or elsewhere and say where: --data DIR",
        page="Drop it on the Data page, under Add a dataset",
    )


def _is_there(folder: Path) -> bool:
    """Whether the dataset is there whole. Raises DownloadError where something else is in its place."""
    if not folder.exists():
        return False
    try:
        find_reader(folder)[1].files(folder)
    except DataError as error:
        raise DownloadError(
            f"{folder} exists and is not a whole dataset ({error}). Move it away, then fetch again"
        ) from error
    return True


@contextmanager
def _opened(file: Path | IO[bytes], label: str) -> Generator[IO[bytes]]:
    """An archive that somebody gave us, open. Raises DownloadError."""
    try:
        opened = gate.open_file(file, gate.ARCHIVE) if isinstance(file, Path) else nullcontext(file)
    except OSError as error:
        raise DownloadError(f"{label} cannot be read: {error.strerror or error}. Choose the file again") from error
    with opened as archive:
        yield archive


def _origin_of_upload(archive: IO[bytes], label: str) -> tuple[str, str, str]:
    """Source, checksum and licence of an archive that somebody gave us."""
    digests: dict[str, str] = {}
    for algorithm in ("md5", "sha256"):
        archive.seek(0)
        digests[algorithm] = hashlib.file_digest(cast("BufferedReader", archive), algorithm).hexdigest()
    for name, known in SETS.items():
        if digests["md5"] == known.md5:
            return f"{label}, imported by hand: GroupLens' original {name}.zip", f"md5 {known.md5}", LICENCE
    return f"{label}, imported by hand", f"sha256 {digests['sha256']}", "The terms of its source apply."


def _write_source(folder: Path, source: str, checksum: str, licence: str = LICENCE) -> None:
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"source": source, "checksum": checksum, "fetched_at": fetched_at, "licence": licence}
    write_json(folder / SOURCE_FILE, record)


@contextmanager
def _landing(folder: Path) -> Generator[Path]:
    """A temporary folder beside `folder` that takes its name when the block ends well, and goes when it fails."""
    # "~" is in no dataset's name. What a killed process left of this name is ours to remove: we hold its lock.
    prefix = f".unpack~{folder.name}~"
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary: Path | None = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(folder)
    except OSError as error:
        raise DownloadError(
            f"{folder} could not be written: {error.strerror or error}; nothing of it was kept. "
            "Free some space or check the folder's permissions, then try again"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _exclusive(name: str, data_dir: Path, progress: Report) -> Generator[None]:
    """Hold the lock of one dataset's name; say so while another process holds it."""
    downloads = data_dir / ".downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        lock = FileLock(downloads / f"{name}.lock")
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_LOCK_POLL)
            except Timeout:
                progress(Progress(f"Waiting for another process that fetches {name}", 0, None))
    except OSError as error:
        raise DownloadError(
            f"{downloads} cannot be written: {error.strerror or error}. Check its permissions and free space"
        ) from error
    try:
        yield
    finally:
        lock.release()
