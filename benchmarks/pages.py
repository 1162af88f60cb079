"""How long the server takes to run Home, Monitor and Compare with many runs on disk.

    python -m benchmarks.pages

Writes 100 runs of 10,000 scalars each, with the demo runs' records, models and test results on MovieLens-100K (which
has to be in data/), into a temporary root. Times reruns of the pages'
scripts by Streamlit's own test harness: what happens on the server between an interaction and its answer, without the
network and the browser. Prints a line for each figure (median, and the lowest and highest rerun), then all as JSON;
ends with code 1 where a target was missed.
"""

import argparse
import os
import tempfile
import time
from itertools import combinations
from pathlib import Path

from streamlit.testing.v1 import AppTest

from benchmarks.figure import Figure, report
from benchmarks.runs import write_runs
from recformer.store import PROJECT, Root

RERUNS, PATIENCE_S, BELOW_MS = 12, 120, 300


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    arguments.add_argument("--points", type=int, default=10_000, help="of each run (default: %(default)s)")
    arguments.add_argument("--data", type=Path, default=PROJECT / "data" / "ml-100k", help="MovieLens-100K")
    asked = arguments.parse_args()
    if not asked.data.is_dir():
        arguments.error(f"{asked.data} is not there: python -m recformer data fetch ml-100k, or --data FOLDER")
    with tempfile.TemporaryDirectory() as name:
        run_ids = write_runs(Root(Path(name)), asked.runs, asked.points)
        os.environ["RECFORMER_ROOT"] = name
        (Path(name) / "data").mkdir()
        (Path(name) / "data" / "ml-100k").symlink_to(asked.data.resolve())
        figures = [rerun("Home", "app.py")]
        for count in (1, 5, 12):
            figures.append(rerun(f"Monitor, {count} overlaid", "pages/monitor.py", run=run_ids[:count]))
        for count in (3, 8):
            for view in ("Ranking", "Duplication", "Slices", "Users", "Loss curves"):
                models = [f"{run_id}/best" for run_id in run_ids[:count]]
                figures.append(rerun(f"Compare, {count} models, {view}", "pages/compare.py", runs=models, view=view))
            figures.append(new_cutoffs(count, [f"{run_id}/best" for run_id in run_ids[:count]]))
    report(figures)


def opened(page: str, **parameters: str | list[str]) -> AppTest:
    """A page as it is once everything it needs has been read."""
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=PATIENCE_S).run()
    if page != "app.py":
        app.switch_page(page)
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def rerun(what: str, page: str, **parameters: str | list[str]) -> Figure:
    """Milliseconds of a rerun of a page."""
    app = opened(page, **parameters)
    times = [timed(app) for _ in range(RERUNS)]
    return Figure.of(what, times, "ms", BELOW_MS)


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
