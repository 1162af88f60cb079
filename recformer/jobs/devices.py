"""Which devices there are, asked without torch: what a run's queue is called, and how busy each device is."""

import importlib.util
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pynvml

LOOK_LIMIT_S = 10.0  # an average over longer would not say what is going on now
FIRST_LOOK_S = 0.1


@dataclass(frozen=True)
class Load:
    """How busy a device is. `share` is 0 to 1; memory in bytes."""

    device: str
    """cpu or cuda:N, as runs name it."""
    name: str
    share: float | None
    memory_used: int
    memory_total: int


def queue_of(device: str) -> str:
    """The device whose queue a run stands in: `auto` means the first GPU where there is one, else the processor."""
    if device != "auto":
        return "cuda:0" if device == "cuda" else device
    return "cuda:0" if _torch_has_cuda() and _visible_gpus() else "cpu"


def loads() -> list[Load]:
    """The processor's load of the last seconds and main memory, then each visible GPU's."""
    memory = psutil.virtual_memory()
    cores = psutil.cpu_count() or 1
    cpu = Load("cpu", f"{cores} cores", _processor.share(), memory.total - memory.available, memory.total)
    gpus: list[Load] = []
    for number, index in enumerate(_visible_gpus()):
        with suppress(pynvml.NVMLError):
            gpus.append(_gpu_load(f"cuda:{number}", index))
    return [cpu, *gpus]


class _Processor:
    """The share of time that the processor works, between two looks (psutil's own measure is one of each thread)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._busy = self._total = 0.0

    def share(self) -> float:
        with self._lock:
            if time.monotonic() - self._looked > LOOK_LIMIT_S:
                self._look()
                time.sleep(FIRST_LOOK_S)
            busy, total = self._busy, self._total
            self._look()
            passed = self._total - total
            return min(max((self._busy - busy) / passed, 0.0), 1.0) if passed > 0 else 0.0

    def _look(self) -> None:
        times = psutil.cpu_times()
        self._total = sum(times)
        self._busy = self._total - times.idle - getattr(times, "iowait", 0.0)
        self._looked = time.monotonic()


_processor = _Processor()


def _gpu_load(device: str, index: int) -> Load:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        share = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    except pynvml.NVMLError:  # a part of a shared GPU does not tell
        share = None
    return Load(device, str(pynvml.nvmlDeviceGetName(handle)), share, int(memory.used), int(memory.total))


def _visible_gpus() -> list[int]:
    """NVML's numbers of the GPUs that torch would call cuda:0, cuda:1, …"""
    count = _gpu_count()
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return list(range(count))
    numbers: list[int] = []
    for word in asked.split(","):
        if not word.strip().isdigit() or int(word) >= count:
            break  # CUDA, too, ends the list at the first word that names no GPU
        numbers.append(int(word))
    return numbers


@cache
def _gpu_count() -> int:
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


@cache
def _torch_has_cuda() -> bool:
    """Whether the torch that is installed was built for CUDA; found without importing it, which takes seconds."""
    found = importlib.util.find_spec("torch")
    return found is not None and (Path(str(found.origin)).parent / "lib" / "libtorch_cuda.so").exists()
