"""How much of its quiet speed a training keeps beside other work, on each engine.

    python -m benchmarks.crowded --data data/ml-1m

The other work is as many busy processes as there are cores, so a fair share is half of the quiet speed. Quiet and
crowded measurements take turns. Prints a line for each figure (median, lowest and highest repeat), then all as JSON;
ends with code 1 where an engine keeps less than its target.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.training import engine_steps, windows_per_s
from recformer.config import parse, preset
from recformer.data.prepared import prepare

ENGINES = ("native", "compiled", "eager")
REPEATS, KEPT = 3, 0.35


def main() -> None:
    config = parse(preset("baseline"))
    prepared = prepare(parsed(folder_asked_for(__doc__)), config.split)
    figures = list[Figure]()
    for name in ENGINES:
        steps = engine_steps(name, config, prepared)
        quiet, crowded = list[float](), list[float]()
        for _ in range(REPEATS):
            quiet.append(windows_per_s(steps))
            with busy_cores():
                crowded.append(windows_per_s(steps))
        kept = [one / other for one, other in zip(crowded, quiet, strict=True)]
        figures += [
            Figure.of(f"{name} engine, nothing beside it", quiet, "windows/s"),
            Figure.of(f"{name} engine, every core busy with other work", crowded, "windows/s"),
            Figure.of(f"{name} engine, share of its quiet speed", kept, "x", at_least=KEPT),
        ]
    report(figures)


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process for each core that computes all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
