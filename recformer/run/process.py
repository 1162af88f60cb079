"""Which process is which: an identity that neither a reused pid, a reboot nor a clock that jumps can forge."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

_DEAD = ("Z", "X", "x")  # the letters of a zombie and of a process that is being removed


def birth(pid: int) -> str | None:
    """When and in which life of this machine a process was born; None where there is no such process.

    Linux: boot id and clock ticks since boot. psutil's creation time would move with the system clock, and a run
    that trains would look dead after the clock was set. Elsewhere: that creation time, for want of better.
    """
    if (fields := _stat(pid)) is not None:
        return f"{_boot_id()}/{fields[19]}"  # field 22 of /proc/PID/stat: clock ticks since boot
    with suppress(psutil.Error):
        return f"{psutil.Process(pid).create_time():.2f}"
    return None


def lives(pid: int | None, born: str | None) -> bool:
    """Whether that very process runs; a reused pid (born at another time) and a zombie do not."""
    if pid is None or born is None:
        return False
    if (fields := _stat(pid)) is not None:  # one read for both questions: those who wait ask each second
        return f"{_boot_id()}/{fields[19]}" == born and fields[0] not in _DEAD
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return birth(pid) == born and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state (field 3) on; None where there is no such process, or no Linux."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  a Path would cost more than the read
            # The command's name stands in brackets and may hold anything, brackets included.
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return None


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
