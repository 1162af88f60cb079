"""Which device a run computes on."""

import re

import torch

from recformer.errors import DeviceError, UsageError


def resolve(name: str) -> torch.device:
    """The device called `name`: auto (the first GPU where there is one), cpu, or cuda:N.

    Raises UsageError for another word, DeviceError for a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if not match:
        raise UsageError(f"device {name!r} is not known; allowed: auto, cpu, cuda:0, cuda:1, …")
    index = int(match.group(1) or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        there = f"this machine has cuda:0 to cuda:{count - 1}" if count else "PyTorch finds no GPU on this machine"
        raise DeviceError(
            f"device {name!r} is not there: {there}", cli="Use --device auto or --device cpu", page="Choose auto or cpu"
        )
    return torch.device("cuda", index)
