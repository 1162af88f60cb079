"""The two records of a run on disk: `job.json` of who launches and stops, `status.json` of the trainer."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from recformer.files import gate
from recformer.files.writing import write_json
from recformer.run.process import lives

Stamp = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
"""Seconds since 1970, to the end of the year 9999."""
Pid = Annotated[int, Field(ge=1, lt=2**31)]
Count = Annotated[int, Field(ge=0)]

JOB_FILE = "job.json"
STATUS_FILE = "status.json"

StatusState = Literal["starting", "running", "stopping", "finished", "stopped", "failed"]
Ending = Literal["by itself", "killed", "not started", "cancelled"]


class _Record(BaseModel):
    """What both records share: they do not change, and keep fields that a newer version added."""

    model_config = ConfigDict(frozen=True, extra="allow")


class JobRecord(_Record):
    """`job.json`: which process trains a run, and what was asked of it. Times are seconds since 1970."""

    command: list[str]
    """The argument list of the process, its program first."""
    device: str
    """Whose queue it stands in: "cpu" or "cuda:N"."""
    queued_at: Stamp
    """When this launch (or resume) was asked for."""
    launch: str = ""
    """A name that this launch alone has; the trainer's records of it carry the same."""
    place: float = 0.0
    """Order in its device's queue: the least is the next."""
    pid: Pid | None = None
    """The process that waits for its turn, then the one that trains."""
    birth: str | None = None
    """That process's identity (see jobs.process): a pid alone may by now belong to another process."""
    supervisor_pid: Pid | None = None
    """The process that started the training one, waits for its end, and leads its session."""
    supervisor_birth: str | None = None
    created_at: Stamp | None = None
    """When the run was first launched; a resume keeps it."""
    started_at: Stamp | None = None
    """When the process had its device and began; None while it waits."""
    stop_requested_at: Stamp | None = None
    ended: Ending | None = None
    """How a stop came out ("by itself", "killed", or "cancelled" while it waited), or "not started"."""
    ended_at: Stamp | None = None
    exit_code: int | None = None
    """What its supervisor saw when it ended: an exit code, or the negative number of the signal that killed it."""
    out_of_memory: bool = False
    """Whether the operating system, short of memory, killed a process when this one was killed."""

    @property
    def alive(self) -> bool:
        """Whether its process runs: that very one, not another one with its pid."""
        return lives(self.pid, self.birth)


class Status(_Record):
    """`status.json`: the trainer's heartbeat. Times are seconds since 1970, `eta_s` seconds from `time`."""

    state: StatusState
    epoch: Count
    num_epochs: Count
    step: Count
    steps: Count
    """Steps of the whole training, all epochs together."""
    device: str
    launch: str = ""
    """The launch it belongs to (JobRecord.launch)."""
    time: Stamp
    """When this was written."""
    progress_time: Stamp
    """When `step` last moved."""
    phase: str = ""
    """What it is doing: "training", "validating", "compiling", …"""
    loss: float | None = None
    samples_per_s: float | None = None
    eta_s: float | None = None
    memory_bytes: Count = 0
    free_memory_bytes: Count | None = None
    """Main memory that was left on the machine."""
    message: str | None = None
    """Why it failed, or what there is to know."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """The last validation's metrics, by tag."""


_JOB, _STATUS = TypeAdapter(JobRecord), TypeAdapter(Status)


def read_job(folder: Path) -> JobRecord | None:
    """The job record in a run's folder, None where there is none. Raises StoreError when it is damaged."""
    return gate.read_record(folder / JOB_FILE, gate.JOB, _JOB)


def write_job(folder: Path, job: JobRecord) -> None:
    """Write `job.json` atomically. Raises StoreError when the disk refuses."""
    write_json(folder / JOB_FILE, _plain(job.model_dump()))


def read_status(folder: Path) -> Status | None:
    """The trainer's last heartbeat, None where there is none. Raises StoreError when it is damaged."""
    return gate.read_record(folder / STATUS_FILE, gate.STATUS, _STATUS)


def write_status(folder: Path, status: Status) -> None:
    """Write `status.json` atomically, a loss that is not finite included. Raises StoreError as write_job."""
    write_json(folder / STATUS_FILE, _plain(status.model_dump()))


def _plain(value: Any) -> Any:
    """`value` for JSON, which lacks NaN and infinity: they become "nan", "inf", "-inf"; reading undoes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in cast(list[Any], value)]
    return value
