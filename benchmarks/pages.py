"""How long the server takes to run Home, Monitor and Compare with many runs on disk.

    python -m benchmarks.pages

Writes runs with the demo runs' records, models and test results on MovieLens-100K (which has to be in data/), into
temporary roots: 100 of 10,000 scalars each, then 500 and 2,000 with the demo runs' own logs, so that the slope is seen.
Times reruns of the pages' scripts by Streamlit's own test harness: what happens on the server between an interaction
and its answer, without the network and the browser. Prints a line for each figure (median, and the lowest and highest
rerun), then all as JSON; ends with code 1 where a target was missed.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from streamlit.testing.v1 import AppTest

from benchmarks.figure import Figure, report
from benchmarks.runs import write_runs
from recformer.files.names import PROJECT
from recformer.files.stamps import SETTLED_NS
from recformer.jobs.queue import lines
from recformer.run.overview import active_runs, list_runs
from recformer.run.paths import Root
from recformer.ui.home.log_figures import run_figures
from recformer.ui.server_start import prepare

RERUNS, PATIENCE_S, BELOW_MS = 12, 120, 300
MANY, BELOW_WITH_MANY_MS = [500, 2000], 2000
LIST_BELOW_MS, REST_BELOW = 100, 0.03
REFRESH_S = 2.0  # how often Home's refresh runs (see ui/home.py)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    arguments.add_argument("--points", type=int, default=10_000, help="of each run (default: %(default)s)")
    arguments.add_argument("--data", type=Path, default=PROJECT / "data" / "ml-100k", help="MovieLens-100K")
    asked = arguments.parse_args()
    if not asked.data.is_dir():
        arguments.error(f"{asked.data} is not there: python -m recformer data fetch ml-100k, or --data FOLDER")
    with root_with(asked.runs, asked.points, asked.data) as (root, run_ids):
        figures = [rerun("Home", "app.py"), *of_the_list(root, asked.runs)]
        for count in (1, 5, 12):
            figures.append(rerun(f"Monitor, {count} overlaid", "pages/monitor.py", run=run_ids[:count]))
        for count in (3, 8):
            for view in ("Ranking", "Duplication", "Slices", "Users", "Loss curves"):
                models = [f"{run_id}/best" for run_id in run_ids[:count]]
                figures.append(rerun(f"Compare, {count} models, {view}", "pages/compare.py", runs=models, view=view))
            figures.append(new_cutoffs(count, [f"{run_id}/best" for run_id in run_ids[:count]]))
    for count in MANY:
        with root_with(count, None, asked.data) as (root, _):
            figures += [*first_draw(count), *of_the_list(root, count)]
            figures += [
                rerun(f"{name}, {count:,} runs", page, below=BELOW_WITH_MANY_MS)
                for name, page in (("Home", "app.py"), ("Monitor", "pages/monitor.py"), ("Compare", "pages/compare.py"))
            ]
    report(figures)


@contextmanager
def root_with(count: int, points: int | None, data: Path) -> Generator[tuple[Root, list[str]]]:
    """A root of so many runs that the app looks at, and their ids."""
    with tempfile.TemporaryDirectory() as name:
        root = Root(Path(name))
        run_ids = write_runs(root, count, points)
        root.data.mkdir()
        (root.data / "ml-100k").symlink_to(data.resolve())
        os.environ["RECFORMER_ROOT"] = name
        time.sleep(SETTLED_NS / 1e9)  # a file that was written just now is read again
        yield root, run_ids


def first_draw(count: int) -> list[Figure]:
    """Milliseconds that the server prepares Home when it starts, and until Home is there for the first time after that,
    with the curves of some runs. Then all logs are read."""
    begin = time.perf_counter()
    prepare()
    prepared = 1000 * (time.perf_counter() - begin)
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=PATIENCE_S)
    first = timed(app)
    while run_figures().busy():
        time.sleep(0.1)
    return [
        Figure.of(f"Preparing Home while the server starts, {count:,} runs", [prepared], "ms"),
        Figure.of(f"Home for the first time, {count:,} runs", [first], "ms", BELOW_WITH_MANY_MS),
    ]


def of_the_list(root: Root, count: int) -> list[Figure]:
    """Milliseconds of a list of runs that are known already, and what of a core Home takes while nothing happens."""
    list_runs(root)
    lists, looks = list[float](), list[float]()
    for _ in range(RERUNS):
        begin = time.perf_counter()
        list_runs(root)
        lists.append(1000 * (time.perf_counter() - begin))
        begin = time.process_time()
        lines(root, among=[run.run_id for run in active_runs(root)])
        looks.append((time.process_time() - begin) / REFRESH_S)
    return [
        Figure.of(f"List of {count:,} runs, again", lists, "ms", LIST_BELOW_MS),
        Figure.of(f"Looking at {count:,} runs at rest", looks, "cores", REST_BELOW),
    ]


def opened(page: str, **parameters: str | list[str]) -> AppTest:
    """A page as it is once everything it needs has been read."""
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=PATIENCE_S).run()
    if page != "app.py":
        app.switch_page(page)
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def rerun(what: str, page: str, below: float = BELOW_MS, **parameters: str | list[str]) -> Figure:
    """Milliseconds of a rerun of a page."""
    app = opened(page, **parameters)
    times = [timed(app) for _ in range(RERUNS)]
    return Figure.of(what, times, "ms", below)


def new_cutoffs(count: int, models: list[str]) -> Figure:
    """Milliseconds of a rerun of Compare with other cutoffs, some of them new, some seen before."""
    app, times = opened("pages/compare.py", runs=models), list[float]()
    for cutoffs in combinations(["1", "3", "5", "10", "20"], 3):
        if cutoffs != ("3", "5", "10"):
            app.multiselect(key="compare.k").set_value(list(cutoffs))
            times.append(timed(app))
    return Figure.of(f"Compare, {count} models, another k", times, "ms", BELOW_MS)


def timed(app: AppTest) -> float:
    begin = time.perf_counter()
    app.run()
    assert not app.exception and not app.error, (app.exception, app.error)
    return 1000 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
