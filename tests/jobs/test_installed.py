"""Recformer as a package of its ecosystem: the wheel, installed in an empty folder elsewhere, has all that it needs."""

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from recformer import __version__
from recformer.files.names import PROJECT
from tests.browser.app import answers, free_port
from tests.waiting import wait_until

SOURCES = ["recformer", "pages", ".streamlit"]
FILES = ["app.py", "pyproject.toml", "setup.py", "README.md", "requirements.txt"]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed in, without what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(PROJECT / name, folder / "source")
    offline = ["--no-index", "--no-deps"]
    wheels = ["wheel", *offline, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run([*PIP, *wheels], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*PIP, "install", *offline, "--target", str(folder / "packages"), str(wheel)], check=True)
    shutil.rmtree(folder / "source")
    return folder / "packages"


@pytest.fixture
def environment(packages: Path) -> dict[str, str]:
    told = {name: value for name, value in os.environ.items() if name != "RECFORMER_ROOT"}
    return {**told, "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}


def recformer(packages: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(packages / "bin" / "recformer"), *arguments]


def test_the_command_says_its_version_and_lists_the_runs_of_the_current_folder(
    packages: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    def said(*arguments: str) -> str:
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "check": True}
        return subprocess.run(recformer(packages, *arguments), **options).stdout

    assert said("--version") == f"recformer {__version__}\n"
    assert said("runs", "--json") == "[]\n"
    shutil.copytree(PROJECT / "runs" / "demo-baseline", tmp_path / "runs" / "demo-baseline")
    assert '"run_id": "demo-baseline"' in said("runs", "--json")
    assert "complete" in said("--show-completion", "bash")


def test_the_app_answers_on_this_machine_alone(packages: Path, environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true"]
    with (tmp_path / "app.log").open("wb") as log:
        app = subprocess.Popen(
            recformer(packages, "app", *options), cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/_stcore/health"), "the installed app to answer")
        listening = [found.laddr for found in psutil.Process(app.pid).net_connections() if found.status == "LISTEN"]
        assert [(found.ip, found.port) for found in listening] == [("127.0.0.1", port)]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.test"}), timeout=5)
    finally:
        app.terminate()
        app.wait(timeout=30)


def test_every_page_is_installed_and_opens(packages: Path, environment: dict[str, str], tmp_path: Path) -> None:
    app = packages / "recformer" / "ui" / "app"
    assert {path.name for path in (app / "pages").iterdir()} >= {path.name for path in (PROJECT / "pages").glob("*.py")}
    script = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file(sys.argv[1], default_timeout=60).run()\n"
        "for page in [None, *sys.argv[2:]]:\n"
        "    app = app.switch_page(f'pages/{page}').run() if page else app\n"
        "    assert not app.exception and not app.error, (page, app.exception, app.error)\n"
    )
    pages = sorted(path.name for path in (app / "pages").glob("*.py"))
    command = [sys.executable, "-c", script, str(app / "app.py"), *pages]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
