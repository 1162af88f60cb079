"""How fast the logs of many runs are read: from nothing, from the index after a restart, and when something was added.

    python -m benchmarks.logs

Writes 100 runs of 10,000 scalars each into a temporary folder and prints a line for each figure (median, and the
lowest and highest repeat), then all of them as JSON. Ends with code 1 where a target was missed. `--runs` and
`--points` make it smaller, for a quick try. What is timed:

- cold: RunLog.refresh() and scalars() of every run, files in the page cache; the runs' logs are opened anew each time.
- tbparse: SummaryReader(run).scalars of every run.
- data server: what TensorBoard's Rust server logs as the time of one load cycle over all runs (--reload once), without
  and with checksums, which RunLog always verifies. It reads runs on all cores and keeps 1000 points a tag.
- restart: as cold, but with an index, in a process of its own; its imports are not counted.
- refresh: RunLog.refresh() of one log of 10,000 points, and of one with as many as all runs together.
- bytes a point: by how much the process of the restart grew.
"""

import argparse
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.event_files import scalar_records, write_run
from benchmarks.figure import Figure, report
from recformer.files.names import PROJECT
from recformer.logs.reader import RunLog

TAGS = [f"metric/{number}" for number in range(10)]
REPEATS, ADDED, SECONDS = 5, 100, 120
UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
RESTART = """
import gc, json, sys, time
from pathlib import Path
import psutil
from recformer.logs.reader import RunLog
memory, begin = psutil.Process().memory_info().rss, time.perf_counter()
logs = [RunLog(Path(folder), Path(folder) / "index") for folder in sys.argv[1:]]
for log in logs:
    log.refresh()
curves = [log.scalars() for log in logs]
seconds = time.perf_counter() - begin
points = sum(len(curve) for run in curves for curve in run.values())
gc.collect()
print(json.dumps([seconds, (psutil.Process().memory_info().rss - memory) / points, points]))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    arguments.add_argument("--points", type=int, default=10_000, help="of each run (default: %(default)s)")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = [Path(name) / "runs" / f"run-{number:03}" for number in range(asked.runs)]
        for seed, run in enumerate(runs):
            write_run(run, asked.points, TAGS, seed)
        figures = [*reading(runs), *restarting(runs)]
        for points in (asked.points, asked.points * asked.runs):
            figures += refreshing(Path(name) / f"{points}-points", points)
    report(figures)


def reading(runs: Sequence[Path]) -> list[Figure]:
    """All runs from nothing, by each of the readers."""
    from tbparse import SummaryReader

    ours = [seconds(lambda: [curves(RunLog(run)) for run in runs]) for _ in range(REPEATS)]
    theirs = [seconds(lambda: [SummaryReader(str(run)).scalars for run in runs]) for _ in range(2)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    figures = [Figure.of("cold", ours), Figure.of("tbparse", theirs)]
    times = (ratio, min(theirs) / max(ours), max(theirs) / min(ours))
    figures.append(Figure("cold against tbparse", "times as fast", *times, "≥ 10", ratio >= 10))
    if importlib.util.find_spec("tensorboard_data_server") is not None:
        for words in ([], ["--checksum"]):
            cycles = [load_cycle(runs[0].parent, words) for _ in range(REPEATS)]
            figures.append(Figure.of(" ".join(["data server", *words]), cycles))
    return figures


def load_cycle(folder: Path, words: Sequence[str]) -> float:
    """Seconds that the data server takes to load all runs of a folder, by its own log."""
    from tensorboard_data_server import server_binary

    command = [str(server_binary()), "--logdir", str(folder), "--reload", "once", "--port", "0", "--verbose", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr is not None
        try:
            for line in server.stderr:
                if found := re.search(r"Finished load cycle \(([\d.]+)(\D+)\)", line):
                    return float(found[1]) * UNITS[found[2]]
        finally:
            server.kill()
    raise RuntimeError("the data server ended before it had loaded the runs")


def restarting(runs: Sequence[Path]) -> list[Figure]:
    """All runs from their indexes, and what they take in memory."""
    for run in runs:
        RunLog(run, run / "index").refresh()
    found: list[tuple[float, float, int]] = []
    for _ in range(REPEATS):
        command = [sys.executable, "-c", RESTART, *map(str, runs)]
        ended = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=SECONDS)
        found.append(json.loads(ended.stdout))
    points = found[0][2]
    return [
        Figure.of(f"restart from the index, {points:,} points", [took for took, _, _ in found], below=0.3),
        Figure.of("memory after the restart", [size for _, size, _ in found], "bytes a point"),
    ]


def refreshing(folder: Path, points: int) -> list[Figure]:
    """One log that stays as it is, and that grows."""
    path = write_run(folder, points, TAGS)
    log = RunLog(folder)
    curves(log)
    idle = [seconds(log.refresh) for _ in range(20 * REPEATS)]
    grown: list[float] = []
    shown: list[float] = []
    for repeat in range(4 * REPEATS):
        step = np.arange(ADDED) + points + repeat * ADDED
        with path.open("ab") as file:
            file.write(b"".join(scalar_records(TAGS[0], step, 2e9 + step, step / 3)))
        begin = time.perf_counter()
        log.refresh()
        grown.append(time.perf_counter() - begin)
        log.scalars()
        shown.append(time.perf_counter() - begin)
    expected = points // len(TAGS) + len(grown) * ADDED
    assert len(log.scalars()[TAGS[0]]) == expected
    return [
        Figure.of(f"refresh with nothing new, {points:,} points", [1000 * took for took in idle], "ms", 1.0),
        Figure.of(f"refresh with {ADDED} new, {points:,} points", [1000 * took for took in grown], "ms", 5.0),
        Figure.of(f"the same with its curves, {points:,} points", [1000 * took for took in shown], "ms"),
    ]


def curves(log: RunLog) -> None:
    log.refresh()
    log.scalars()


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
