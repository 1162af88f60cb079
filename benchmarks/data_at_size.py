"""How long a large table of interactions takes to be read and to be evaluated on, and how much memory.

    python -m benchmarks.data_at_size --rows 30000000

Makes a CSV file of its own in a temporary folder: text ids of users (a fifteenth of the rows) and items (300,000), both
far from evenly spread, times in seconds, ratings; 38 bytes a row. Each step is a process of its own, whose highest
resident memory the system tells. Targets are those of 30 million rows, in proportion. Prints a line for each figure,
then all as JSON; ends with code 1 where a target was missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from benchmarks.figure import Figure, report

ROWS, CHUNK, WHOLE = 3_000_000, 1_000_000, 30_000_000
READ_S, OPEN_S, MOST_MB = 300.0, 2.0, 1500.0
USERS = 100_000  # evaluated of the whole, fewer of less
LOAD = """
import json, resource, sys, time
from pathlib import Path
from recformer.data.cache import load
begin = time.monotonic()
dataset = load(Path(sys.argv[1]), Path(sys.argv[2]))
"""
EVALUATE = """
from recformer.data.user_sample import UserSample
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
begin = time.monotonic()
task = Task(dataset, split_of("leave_last_out"), sample=UserSample(int(sys.argv[4])))
evaluate(Root(Path(sys.argv[2]).parent / "root"), ModelRef(sys.argv[3]), task)
"""
TELL = """
seconds = time.monotonic() - begin
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": seconds, "mb": mb, "interactions": dataset.num_interactions}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "shop", Path(name) / "cache"
        folder.mkdir()
        make(folder / "orders.csv", rows)
        (folder / "dataset.yaml").write_text(
            "mapping: {files: [orders.csv], user: customer, item: sku, time: at, rating: stars}\n"
        )
        first, again = (step(LOAD + TELL, folder, cache) for _ in range(2))
        users = max(USERS * rows // WHOLE, 1)
        evaluated = {
            name: step(LOAD + EVALUATE + TELL, folder, cache, name, str(users)) for name in ("popularity", "markov")
        }
        stored = sum(path.stat().st_size for path in cache.rglob("*.bin")) / first["interactions"]
    of = f"{rows / 1e6:g} million rows"
    report(
        [
            Figure.of(f"{of}, read", [first["seconds"]], below=max(READ_S * rows / WHOLE, 10)),
            Figure.of(f"{of}, resident while reading", [first["mb"]], "MB", below=MOST_MB),
            Figure.of(f"{of}, opened again", [again["seconds"]], below=OPEN_S),
            Figure.of(f"{of}, resident when opened again", [again["mb"]], "MB", below=MOST_MB),
            Figure.of("arrays on disk", [stored], "bytes an interaction", below=17),
        ]
        + [
            figure
            for name, found in evaluated.items()
            for figure in (
                Figure.of(f"{of}, {name} on {users:,} users", [found["seconds"]]),
                Figure.of(f"{of}, resident while {name} is evaluated", [found["mb"]], "MB", below=MOST_MB),
            )
        ]
    )


def step(code: str, folder: Path, cache: Path, *more: str) -> dict[str, float]:
    """Seconds and megabytes of `code` in a process of its own."""
    command = [sys.executable, "-c", code, str(folder), str(cache), *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def make(path: Path, rows: int) -> None:
    """A CSV file of made-up orders."""
    draw = np.random.default_rng(0)
    with path.open("wb") as file:
        for begin in range(0, rows, CHUNK):
            count = min(CHUNK, rows - begin)
            users = (draw.pareto(1.2, count) * rows / 60).astype(np.int64) % max(rows // 15, 1)
            items = (draw.pareto(0.8, count) * 2000).astype(np.int64) % 300_000
            columns = {
                "customer": text("cust-", users + 10_000_000),
                "sku": text("SKU", items + 1_000_000),
                "at": pa.array(draw.integers(1_500_000_000, 1_700_000_000, count)),
                "stars": pa.array(draw.integers(1, 6, count)),
            }
            options = arrow_csv.WriteOptions(include_header=begin == 0, quoting_style="none", quoting_header="none")
            arrow_csv.write_csv(pa.table(columns), file, options)


def text(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


if __name__ == "__main__":
    main()
