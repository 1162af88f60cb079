"""Train a run in this process, once its device is free: what `recformer train` does, and what a supervisor starts."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from recformer.data.repeats import unanswered
from recformer.errors import RecformerError
from recformer.files.names import RUN_ID
from recformer.jobs.launch import claim, enter_queue, train_arguments, write_down
from recformer.jobs.queue import await_turn
from recformer.run.job_records import Status, read_job, read_status, write_status
from recformer.run.locks import record_lock
from recformer.run.paths import Root

if TYPE_CHECKING:
    from recformer.training.loop import Outcome
    from recformer.training.request import Request


def carry_out(root: Root, request: "Request", changes: Sequence[str] = (), data: Path | None = None) -> "Outcome":
    """Train as asked, once the device is free. `changes` and `data` are what a resume was asked with.

    Raises RecformerError; the status says why, once the run is claimed.
    """
    from recformer.training.run import train  # loads torch

    run_id, device, dataset = request.run_id, str(request.device), request.dataset
    if (question := unanswered(dataset.repeats, dataset.num_interactions, dataset.source)) is not None:
        print(f"warning: {question}", file=sys.stderr, flush=True)
    arguments = train_arguments(run_id, device, changes, data)
    enter_queue(root, run_id, arguments, device)
    if request.new:
        write_down(root, run_id, request.record)
    await_turn(root, run_id, arguments)
    with claim(root, run_id, arguments, device) as job:
        return train(root, request, job.launch)


def tell_failure(root: Root, run_id: str | None, device: str, error: RecformerError) -> None:
    """Say in the status of a run why it never began, where this process was launched to train it.

    Whoever launched it sees no standard error. A run that was claimed has said so itself.
    """
    if run_id is None or not RUN_ID.fullmatch(run_id) or not root.run(run_id).is_dir():
        return
    folder, now = root.run(run_id), time.time()
    with suppress(RecformerError):  # a disk that refuses this too must not hide `error`
        with record_lock(folder):
            job, status = read_job(folder), read_status(folder)
        if job is None or job.pid != os.getpid() or (status is not None and status.launch == job.launch):
            return
        unknown = {"epoch": 0, "num_epochs": 0, "step": 0, "steps": 0, "device": device, "progress_time": now}
        known = unknown if status is None else status.model_dump()
        changes = {"launch": job.launch, "state": "failed", "phase": "", "eta_s": None, "time": now}
        write_status(folder, Status.model_validate(known | changes | {"message": error.on_page}))
