"""How long it takes until an edited window's recommendations are there, for three models on two cores.

    python -m benchmarks.what_if --data data/ml-1m

Makes three untrained models of the article's sizes for the dataset named (made-up ratings of ml-1m's size without one)
in a temporary root. Times the domain's part, a forward pass of the window and of the window without each of its movies,
with the lists and explanations that come of it; and the whole rerun of the page by Streamlit's own test harness: what
happens on the server between an edit and its answer, without the network and the browser. Every window is another one,
so nothing is answered from memory. Prints a line for each figure (median, lowest and highest), then all as JSON; ends
with code 1 where a target was missed.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from streamlit.testing.v1 import AppTest

from benchmarks.figure import Figure, report
from benchmarks.runs import write_untrained
from recformer.checkpoint.load import load
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT
from recformer.recommend.scores import next_scores_of
from recformer.recommend.side_by_side import Answer, Query, advice_of
from recformer.run.model_ref import find_model
from recformer.run.paths import Root

RUNS, WINDOW, REPEATS, PATIENCE_S, BELOW_MS = ("one", "two", "three"), 5, 30, 120, 200
USERS, ITEMS, RATINGS = 6_040, 3_883, 40  # of a made-up set, and how many of each user


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, help="folder of a dataset (default: one made up)")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Root(Path(name))
        (root.data).mkdir()
        folder = root.data / "set"
        if asked.data is None:
            made_up(folder)
        else:
            folder.symlink_to(asked.data.resolve(), target_is_directory=True)
        dataset = load_dataset(folder, root.data / ".cache")
        for seed, run_id in enumerate(RUNS):
            write_untrained(root, run_id, dataset, "data/set", WINDOW, seed)
        os.environ["RECFORMER_ROOT"] = name
        windows = windows_of(dataset)
        figures = [
            asking("Three models asked, a user", root, dataset, windows, int(dataset.user_ids[0])),
            asking("Three models asked, nobody", root, dataset, windows, None),
            rerun("Page after an edit, a user", windows, user=str(dataset.user_ids[0])),
            rerun("Page after an edit, nobody", windows, nobody="true"),
        ]
    report(figures)


def made_up(folder: Path) -> None:
    """A dataset of ml-1m's users and movies."""
    draw = random.Random(0)
    folder.mkdir()
    ratings = [
        f"{user}::{item}::4::{978_300_000 + place}"
        for user in range(1, USERS + 1)
        for place, item in enumerate(draw.sample(range(1, ITEMS + 1), RATINGS))
    ]
    (folder / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (folder / "movies.dat").write_text("".join(f"{item}::Movie {item} (1990)::Drama\n" for item in range(1, ITEMS + 1)))
    (folder / "users.dat").write_text("".join(f"{user}::F::25::10::48067\n" for user in range(1, USERS + 1)))


def windows_of(dataset: Dataset) -> Iterator[tuple[int, ...]]:
    """Windows without end, no two alike."""
    draw = random.Random(1)
    while True:
        yield tuple(draw.sample(dataset.item_ids.tolist(), WINDOW))


def asking(what: str, root: Root, dataset: Dataset, windows: Iterator[tuple[int, ...]], user: int | None) -> Figure:
    """Milliseconds from a window to three models' lists, explanations, masking and overlap."""
    checkpoints = [find_model(root, run_id) for run_id in RUNS]
    models = [load(checkpoint.path)[0] for checkpoint in checkpoints]

    def ask(movies: tuple[int, ...]) -> None:
        question = Query(user, 10, "history", movies)
        user_case = question.user_case(dataset, WINDOW)
        next_scores_by_model = [next_scores_of(model, dataset, user_case) for model in models]
        answers = [
            Answer(checkpoint, next_scores)
            for checkpoint, next_scores in zip(checkpoints, next_scores_by_model, strict=True)
        ]
        advice_of(answers, dataset, user_case, question)

    ask(next(windows))  # the first call makes the library's threads
    times: list[float] = []
    for _ in range(REPEATS):
        movies = next(windows)
        begin = time.perf_counter()
        ask(movies)
        times.append(1000 * (time.perf_counter() - begin))
    return Figure.of(what, times, "ms", BELOW_MS)


def rerun(what: str, windows: Iterator[tuple[int, ...]], **query: str) -> Figure:
    """Milliseconds of the page's rerun with another window."""
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=PATIENCE_S)
    app.switch_page("pages/recommend.py")
    app.query_params["runs"] = [f"{run_id}/best" for run_id in RUNS]
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    times: list[float] = []
    for _ in range(REPEATS):
        app.query_params["movies"] = ",".join(map(str, next(windows)))
        begin = time.perf_counter()
        app.run()
        times.append(1000 * (time.perf_counter() - begin))
    assert not app.exception and not app.error, [element.value for element in (*app.exception, *app.error)]
    assert len(app.get("bidi_component")) == 1
    return Figure.of(what, times, "ms", BELOW_MS)


if __name__ == "__main__":
    main()
