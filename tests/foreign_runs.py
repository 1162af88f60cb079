"""Runs whose logs say what no log of ours does, each with one fault, for tests of pages."""

import math
from collections.abc import Iterable
from pathlib import Path

from recformer.run.paths import Root
from tests.log_files import scalar

BEGAN = 1.7e9  # seconds since 1970
USUAL = "events.out.tfevents.1700000000.host.1.0"


def write_foreign_runs(root: Root) -> None:
    """`minus-steps`, `date-name`, `milliseconds`, `infinite`, `diverged`, `no-steps`, `restarts` and `far-steps`."""
    steps = range(1, 20)
    _write(root, "minus-steps", (_point(step, math.sin(step / 9999)) for step in range(-100_000, 1, 10)))
    _write(root, "date-name", (_point(step, 5 / step) for step in steps), "events.out.tfevents.20231114221320.host")
    _write(root, "milliseconds", (_point(step, 5 / step, 1000 * BEGAN) for step in steps))
    _write(root, "infinite", (_point(step, math.inf) for step in steps))
    _write(root, "diverged", (_point(step, 5 / step if step < 5 else math.nan) for step in steps))
    _write(root, "no-steps", (scalar(0, 5 / (n + 1), "loss/train", BEGAN + 60 * n) for n in range(40)))
    _write(root, "restarts", (scalar(n % 20, 5 / (n + 1), "loss/train", BEGAN + 60 * n) for n in range(100)))
    _write(
        root, "far-steps", (_point(step, 5.0, tag=tag) for tag in ("a", "b") for step in (2**62, 2**62 + 1, -(2**63)))
    )


def _point(step: int, value: float, began: float = BEGAN, tag: str = "loss/train") -> bytes:
    return scalar(step, value, tag, began + step % 2**20)


def _write(root: Root, run_id: str, records: Iterable[bytes], name: str = USUAL) -> None:
    path: Path = root.run(run_id) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(records))
