"""Which process is which: an identity that neither a reused pid, a reboot nor a clock that jumps can forge."""

from contextlib import suppress
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TICKS = 19  # field 22 of /proc/PID/stat, counted after the command's name


def birth(pid: int) -> str | None:
    """When and in which life of this machine a process was born; None where there is no such process.

    Linux: boot id and clock ticks since boot. psutil's creation time would move with the system clock, and a run
    that trains would look dead after the clock was set. Elsewhere: that creation time, for want of better.
    """
    try:
        # The command's name stands in brackets and may hold anything, brackets included.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{_BOOT_ID.read_text(encoding='ascii').strip()}/{fields[_START_TICKS]}"
    except (FileNotFoundError, ProcessLookupError):
        pass
    with suppress(psutil.Error):
        return f"{psutil.Process(pid).create_time():.2f}"
    return None


def lives(pid: int | None, born: str | None) -> bool:
    """Whether that very process runs; a reused pid (born at another time) and a zombie do not."""
    if pid is None or born is None or birth(pid) != born:
        return False
    with suppress(psutil.Error):
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False
