"""Processes that a test began and left: trainings, supervisors, apps. They are known by the folder that they work in."""

import os
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_S = 10.0


def end_processes_of(folder: Path) -> None:
    """Kill every process of this user whose root, or an argument, is within `folder`; returns when they are gone."""
    found = [process for process in psutil.process_iter() if process.pid != os.getpid() and _works_in(process, folder)]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=PATIENCE_S)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        words = [process.environ().get("RECFORMER_ROOT", ""), *process.cmdline()]
        if "tests.fork_server" in words:  # forked: both are the server's, but its output is its own
            words = [str(Path(f"/proc/{process.pid}/fd/1").readlink())]
    except (psutil.Error, OSError):
        return False
    return any(word == str(folder) or word.startswith(f"{folder}/") for word in words)
