"""Files from elsewhere, kept only with the checksum they must have; one over HTTP goes on where it broke off."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pooch
import requests
import urllib3

from recformer.errors import DownloadError

CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
_ATTEMPTS = 5
_CHUNK = 256 * 1024
_MD5_BYTES = 4096
_MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")


class HostError(DownloadError):
    """The host could not be reached, refused, or broke off; another source may be tried."""


class ChecksumError(DownloadError):
    """What came is not the file that was asked for."""


def published_md5(url: str) -> str:
    """The MD5 that the host publishes beside the archive at `url`, in a small text file of its name and `.md5`.

    Raises HostError where it gives none.
    """
    try:
        timeout = (CONNECT_SECONDS, STALL_SECONDS)
        with requests.get(
            f"{url}.md5", headers={"Accept-Encoding": "identity"}, stream=True, timeout=timeout
        ) as answer:
            answer.raise_for_status()
            said = answer.raw.read(_MD5_BYTES)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise HostError(f"{url}.md5, its checksum, {_in_words(error)}; nothing is taken unchecked") from error
    found = {md5.lower() for md5 in _MD5.findall(said.decode("ascii", "replace"))}
    if len(found) != 1:
        raise HostError(f"{url}.md5 holds not one checksum but {said[:60]!r}; nothing is taken unchecked")
    return found.pop()


def fetch_checked(source: str, checksum: str, target: Path, fetch: Callable[[Path], None]) -> Path:
    """`target` itself, fetched where it is not there with `checksum` ("md5:…", "sha256:…") already.

    `fetch` writes what `source` names to the path it is given. Raises ChecksumError, keeping nothing, where that has
    another checksum, and DownloadError when the disk refuses.
    """
    pooch.get_logger().setLevel("WARNING")  # what goes on is told by progress

    def download(_source: str, output: str, _pooch: object) -> None:
        fetch(Path(output))

    try:
        pooch.retrieve(source, checksum, target.name, target.parent, downloader=cast("Any", download))
    except ValueError as error:
        raise ChecksumError(
            f"{source}: {str(error).partition('. ')[0]}; nothing of it was kept. The file was damaged or changed on "
            "its way: try again, and if it stays so download the archive by hand"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{target} could not be written: {error.strerror or error}. Free some space, then try again"
        ) from error
    return target


def fetch_archive(url: str, checksum: str, target: Path, advance: Callable[[int, int | None], None]) -> Path:
    """`target`, downloaded from `url`; a file `target`.part that an earlier call left is gone on with.

    `advance` is told the bytes so far and in all. Raises HostError when the host gives nothing more (what came stays in
    the part), and what `fetch_checked` raises.
    """
    part = target.with_suffix(".part")

    def fetch(output: Path) -> None:
        _download(url, part, advance)
        part.replace(output)

    resumed = _size(part) > 0
    try:
        return fetch_checked(url, checksum, target, fetch)
    except ChecksumError:
        if not resumed:
            raise
    return fetch_checked(url, checksum, target, fetch)  # the first part may have been of another file


def _download(url: str, part: Path, advance: Callable[[int, int | None], None]) -> None:
    """Complete `part`. A connection that breaks off is taken up again as long as bytes arrive."""
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            _transfer(url, part, advance)
            return
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if attempt == _ATTEMPTS or _size(part) <= before:
                raise HostError(f"{url} {_in_words(error)}") from error


def _transfer(url: str, part: Path, advance: Callable[[int, int | None], None]) -> None:
    done = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    timeout = (CONNECT_SECONDS, STALL_SECONDS)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing after the part: it is whole, or of another file, which its checksum will tell
        answer.raise_for_status()
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        if not (done and goes_on):
            done = 0  # the whole file from its start, whatever was asked for
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as written:
            # read1 gives what has arrived; iter_content would lose what came before a connection broke off.
            while chunk := answer.raw.read1(_CHUNK):
                written.write(chunk)
                done += len(chunk)
                advance(done, total)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _in_words(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return f"gave no answer in {CONNECT_SECONDS:g} s, or no byte in {STALL_SECONDS:g} s"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "broke off in the middle of the file"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    return f"could not be asked: {error}"
