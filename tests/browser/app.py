"""The app as a process of its own, and what the browser tests ask of it and of the real command line."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from recformer.files.names import PROJECT
from recformer.run.job_records import read_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.waiting import wait_until

SCREENSHOTS = PROJECT / ".screenshots"
PATIENCE_MS = 90_000


def started_app(
    root: Path,
    launcher: Sequence[str] = ("-m", "streamlit"),
    options: Sequence[str] = (),
    project: Path = PROJECT,
) -> tuple[subprocess.Popen[bytes], str]:
    """The app, answering; its process and its address. `launcher`: what Python runs instead of Streamlit.

    `project`: the folder of app.py and its settings.
    """
    port = free_port()
    root.mkdir(parents=True, exist_ok=True)
    path = {} if project == PROJECT and launcher[0] == "-m" else {"PYTHONPATH": str(PROJECT)}
    with (root / "app.log").open("ab") as log:
        app = subprocess.Popen(
            [
                sys.executable,
                *launcher,
                "run",
                "app.py",
                "--server.port",
                str(port),
                "--server.headless=true",
                *options,
            ],
            cwd=project,
            # One thread: trainings of tests that run beside this one would take each other's cores by spinning.
            env={**os.environ, "RECFORMER_ROOT": str(root), "OMP_NUM_THREADS": "1", **path},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{url}/_stcore/health"), "the app to answer")
    return app, url


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(
    root: Path,
    launcher: Sequence[str] = ("-m", "streamlit"),
    options: Sequence[str] = (),
    project: Path = PROJECT,
) -> Iterator[str]:
    """The running app; gives its address."""
    app, url = started_app(root, launcher, options, project)
    try:
        yield url
    finally:
        app.terminate()
        app.wait(timeout=30)


def copied_demos(root: Path) -> Path:
    """`root` with the demo runs in it."""
    for part in ("runs", "models"):
        for demo in (PROJECT / part).glob("demo-*"):
            shutil.copytree(demo, root / part / demo.name)
    return root


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def command(root: Path, *arguments: str) -> str:
    """Standard output of the real command line."""
    result = subprocess.run(
        [sys.executable, "-m", "recformer", *arguments],
        cwd=PROJECT,
        env={**os.environ, "RECFORMER_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def shot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)


def points_of_the_loss_curve(page: Page) -> int:
    """How many points the first chart's curve of the validation loss, one for each epoch, has as Plotly draws it."""
    script = """() => {
        const plot = document.querySelector('.js-plotly-plot');
        const traces = plot && plot._fullData ? plot._fullData : [];
        const last = traces.filter((trace) => trace.name.includes('validation')).pop();
        return last ? last.x.length : 0;
    }"""
    return int(page.evaluate(script))


def steps_of(root: Path, run_id: str) -> Callable[[], object]:
    """How far a run has come, for who waits as long as it goes on."""

    def reached() -> object:
        status = read_status(root / "runs" / run_id)
        return status and (status.state, status.phase, status.step)

    return reached


def state_of(root: Path, run_id: str) -> str:
    return find_run(Root(root), run_id).state.name
