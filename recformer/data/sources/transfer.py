"""One file over HTTP into a part file that a later call can go on with."""

from collections.abc import Callable
from pathlib import Path

import requests
import urllib3

from recformer.errors import DownloadError

CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
_ATTEMPTS = 5
_CHUNK = 256 * 1024


class HostError(DownloadError):
    """The host could not be reached, refused, or broke off; another source may be tried."""


def fetch_file(url: str, part: Path, advance: Callable[[int, int | None], None]) -> bool:
    """Download `url` into `part`, going on from the bytes that are there already.

    A connection that breaks off is taken up again as long as bytes arrive. `advance` is told the bytes so far
    and in all. Returns whether an earlier call's bytes were there: they may be of another file, so the caller
    checks the checksum. Raises HostError when the host gives nothing more (what came stays in `part`), and
    DownloadError when the disk refuses.
    """
    resumed = _size(part) > 0
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            _transfer(url, part, advance)
            return resumed
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if attempt == _ATTEMPTS or _size(part) <= before:
                raise HostError(f"{url} {_in_words(error)}") from error
        except OSError as error:
            raise DownloadError(
                f"{part} could not be written: {error.strerror or error}. Free some space, then try again"
            ) from error
    raise AssertionError("the last attempt returns or raises")


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
