"""Supervise one launched run: wait for its turn, start its training process, and write down how that ended.

`python -m recformer.jobs.supervisor RUN_ID -- COMMAND …`, started by jobs.launch in a session of its own. It learns the
exit code of a process that outlives whoever launched it, and whether that was killed for memory. If the supervisor is
killed itself, training goes on; only that knowledge is lost.
"""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from recformer.errors import RecformerError
from recformer.files.names import PROJECT
from recformer.jobs.queue import STOPS, wait_for_turn
from recformer.run.job_records import read_job, write_job
from recformer.run.locks import record_lock
from recformer.run.paths import Root
from recformer.run.process import birth

WATCHED = (*STOPS, signal.SIGCHLD)
LOOK_S = 30.0  # how far back a kill for memory may lie to be this run's


def main() -> None:
    """Supervise the run that the arguments name."""
    run_id, separator, *command = sys.argv[1:]
    assert separator == "--"
    # Blocked and waited for: no signal is lost, and none comes between two lines.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        supervise(Root.default(), run_id, command)
    except RecformerError as error:
        sys.exit(f"error: {error}")


def supervise(root: Root, run_id: str, command: list[str]) -> None:
    """Wait, train, and record the end. Raises RecformerError when the records cannot be written."""
    folder = root.run(run_id)
    with record_lock(folder):  # the launcher holds it until it has written this process's id into the record
        pass
    if wait_for_turn(root, run_id, _report) is not None:
        return
    child = _start(folder, command)
    if child is None:
        return
    job_pid, out_of_memory = child.pid, _watch(child)
    with record_lock(folder):
        job = read_job(folder)
        if job is not None and job.pid == job_pid and job.ended_at is None:
            changes = {"exit_code": child.returncode, "out_of_memory": out_of_memory, "ended_at": time.time()}
            write_job(folder, job.model_copy(update=changes))


def _start(folder: Path, command: list[str]) -> subprocess.Popen[bytes] | None:
    """Start the training process and name it in the record; None when it could not be started."""
    with record_lock(folder):
        job = read_job(folder)
        if job is None:
            return None
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=PROJECT, preexec_fn=_unblock)
        except OSError as error:
            _report(f"could not be started: {command[0]}: {error.strerror}")
            write_job(folder, job.model_copy(update={"ended": "not started", "ended_at": time.time()}))
            return None
        try:
            # However soon the child ends, it is not reaped before this: its birth can be read.
            write_job(folder, job.model_copy(update={"pid": child.pid, "birth": birth(child.pid)}))
        except BaseException:
            child.kill()  # a process that no record names could never be stopped
            child.wait()
            raise
    return child


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)


def _watch(child: subprocess.Popen[bytes]) -> bool:
    """Wait for the child to end, passing on what is asked of this process. True when it was killed for memory."""
    kills = _memory_kills()
    while child.poll() is None:
        got = signal.sigtimedwait(WATCHED, LOOK_S)
        if got is not None and got.si_signo in STOPS:
            child.send_signal(got.si_signo)
        if child.poll() is None:
            kills = _memory_kills()
    return child.returncode == -signal.SIGKILL and _memory_kills() > kills


def _memory_kills() -> int:
    """How many processes the operating system has killed for memory since it booted; 0 where it does not tell."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _report(text: str) -> None:
    with suppress(OSError):  # a full disk is no reason to give up a run
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
