"""A test that fails ends what it began."""

import subprocess
import sys
from pathlib import Path

import pytest

from recformer.files.names import PROJECT
from tests.leftovers import end_processes_of
from tests.training_helpers import environment

FAILING = """
import subprocess, sys
from tests.training_helpers import environment

def test_it_fails_and_leaves_a_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"],
        env=environment(tmp_path / "root"),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    process.stdout.readline()
    (tmp_path.parent / "pid").write_text(str(process.pid))
    assert False
"""


@pytest.fixture
def others(tmp_path: Path) -> list[subprocess.Popen[bytes]]:
    """A process that works in the folder `mine`, one that is given it, and one that works in `mine-too`."""
    waits = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    started = [
        subprocess.Popen(waits, env=environment(tmp_path / "mine" / "root"), stdout=subprocess.PIPE),
        subprocess.Popen([*waits, str(tmp_path / "mine")], stdout=subprocess.PIPE),
        subprocess.Popen(waits, env=environment(tmp_path / "mine-too"), stdout=subprocess.PIPE),
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    return started


def test_what_works_in_a_folder_is_ended_and_nothing_else(
    others: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    end_processes_of(tmp_path / "mine")
    assert [process.poll() is None for process in others] == [False, False, True]
    end_processes_of(tmp_path / "mine-too")
    assert others[2].poll() is not None


def test_a_test_that_fails_leaves_no_process(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    pytester.makeconftest(Path(__file__).parents[1].joinpath("conftest.py").read_text())
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--basetemp", str(pytester.path / "temp"))
    result.assert_outcomes(failed=1)
    pid = int((pytester.path / "temp" / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
