"""TensorBoard as a process of its own, and whether it serves all there is of some logs."""

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.app import free_port

EVERY_POINT = "scalars=1000000"  # a tag, instead of 1000
PATIENCE_S = 5


@contextmanager
def tensorboard(logs: Path) -> Generator[str]:
    """TensorBoard over a folder of runs, on this machine alone, keeping every point; its address, before it answers."""
    port = str(free_port())
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--host", "127.0.0.1", "--port", port]
    server = subprocess.Popen(
        [*command, "--samples_per_plugin", EVERY_POINT], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def serves(url: str, runs: Sequence[str], tag: str, points: int) -> bool:
    """Whether it knows all these runs, and of each every point of the tag."""
    try:
        known = _asked(f"{url}/data/plugin/scalars/tags")
        return all(run in known and _points(url, run, tag) == points for run in runs)
    except (urllib.error.URLError, ConnectionError, TimeoutError):  # not listening yet, or a tag it has not read yet
        return False


def _points(url: str, run: str, tag: str) -> int:
    query = urllib.parse.urlencode({"run": run, "tag": tag})
    return len(_asked(f"{url}/data/plugin/scalars/scalars?{query}"))


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return json.load(answer)
