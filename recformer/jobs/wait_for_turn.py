"""Wait for a run's turn, without torch: a process that waits costs some 35 MB and next to no work.

`python -m recformer.jobs.wait_for_turn RUN_ID -- COMMAND …` is what a command line that finds its device busy becomes.
It keeps its process id and its terminal, waits, and becomes COMMAND when the turn has come.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from recformer.errors import JobError, RecformerError, StoreError
from recformer.jobs.launch import recformer_command
from recformer.jobs.queue import QueueEntry, has_turn, lines, take_turn
from recformer.run.job_records import read_job, write_job
from recformer.run.locks import record_lock
from recformer.run.paths import Root

POLL_S = 1.0
STOPS = (signal.SIGTERM, signal.SIGINT)


def await_turn(root: Root, run_id: str, arguments: list[str]) -> None:
    """Return when this process, which has entered the queue, may train the run: at once, or when its turn has come.

    To wait, the process becomes `recformer.jobs.wait_for_turn`, and then again `python -m recformer ARGUMENTS`: with
    torch loaded it would hold hundreds of megabytes.
    """
    job = read_job(root.run(run_id))
    if (job is not None and job.started_at is not None) or take_turn(root, run_id):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ["RECFORMER_ROOT"] = str(root.path)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # inherited: Ctrl-C before the waiting process looks is not lost
    command = [*recformer_command(), *arguments]
    os.execv(sys.executable, [sys.executable, "-m", "recformer.jobs.wait_for_turn", run_id, "--", *command])


def wait_for_turn(root: Root, run_id: str, tell: Callable[[str], None]) -> int | None:
    """Wait until the run may start. Returns None then, or the signal that cancelled it, which its record then says.

    SIGTERM and SIGINT must be blocked: they are waited for here, so none is lost between two looks.
    `tell` is given a line each time the place has changed. Raises JobError when the run was deleted.
    """
    told = ""
    while True:
        try:
            line = _line_of(root, run_id)
            if has_turn(root, run_id, line) and take_turn(root, run_id):
                return None
            words = _place_words(line, run_id)
        except StoreError as error:  # a disk that is full now is perhaps not for ever
            words = str(error)
        if words and words != told:
            tell(words)
            told = words
        asked = signal.sigtimedwait(STOPS, POLL_S)
        if asked is not None:
            _cancel(root, run_id)
            tell("cancelled while it waited; what was trained before, if anything, is kept")
            return int(asked.si_signo)


def _cancel(root: Root, run_id: str) -> None:
    folder = root.run(run_id)
    with record_lock(folder):
        job = read_job(folder)
        if job is not None:
            write_job(folder, job.model_copy(update={"ended": "cancelled", "ended_at": time.time()}))


def _line_of(root: Root, run_id: str) -> QueueEntry:
    """The line that the run waits in. Raises JobError when the run was deleted."""
    if not root.run(run_id).is_dir():
        raise JobError(f"run {run_id!r} was deleted while it waited")
    return next((line for line in lines(root).values() if run_id in line.waiting), QueueEntry())


def _place_words(line: QueueEntry, run_id: str) -> str:
    if run_id not in line.waiting:  # its record cannot be read at the moment
        return ""
    place = line.waiting.index(run_id)
    ahead = ", ".join([*line.running, *line.waiting[:place]]) or "nobody"
    return f"waits for its turn, place {place + 1}; ahead: {ahead}"


def main() -> None:
    """Wait in the foreground; Ctrl-C leaves the queue."""
    run_id, separator, *command = sys.argv[1:]
    assert separator == "--"
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        cancelled_by = wait_for_turn(
            Root.default(), run_id, lambda words: print(f"{run_id}: {words}", file=sys.stderr, flush=True)
        )
    except RecformerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    if cancelled_by is not None:
        sys.exit(128 + cancelled_by)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
