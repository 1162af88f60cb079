"""Pages over a root in which a file of every kind is hostile: nothing crashes, and the runs that are whole are shown."""

import os
import shutil
from pathlib import Path

import pytest

from recformer.errors import RecformerError
from recformer.run.paths import Root
from tests.pages.test_pages import PAGES, full, opened, root, trained, words
from tests.training_helpers import run_here

__all__ = ["full", "root", "trained"]  # fixtures


def put(path: Path, damage: str) -> None:
    """Put a damaged file in a path's place."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.unlink(missing_ok=True)
    if damage == "device":
        path.symlink_to("/dev/zero")
    elif damage == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"[" * 100_000)


@pytest.fixture(params=["device", "pipe", "deep"])
def hostile(request: pytest.FixtureRequest, full: Root) -> Root:
    """Beside the two runs, one run for each of a run's files in which that file is damaged; settings and posters too."""
    files = [
        "job.json",
        "status.json",
        "run.yaml",
        "config.yaml",
        "labels.json",
        "origin.json",
        "train.log",
        ".scalars.index",
    ]
    (events,) = (path.name for path in full.run("second").glob("events.out.tfevents*"))
    (ranks,) = (path.name for path in full.run("second").glob("eval/*.parquet"))
    for name in [*files, events, f"eval/{ranks}", f"eval/{Path(ranks).stem}.json"]:
        run_id = "bad-" + name.lower().replace("/", "-").strip(".")[:30]
        shutil.copytree(full.run("second"), full.run(run_id))
        shutil.copytree(full.model("second"), full.model(run_id))
        if name in ("config.yaml", "origin.json"):  # as of earlier versions
            (full.run(run_id) / "run.yaml").unlink()
        put(full.run(run_id) / name, request.param)
    for name in ("best.json", "best.safetensors", "last.pt"):
        run_id = f"bad-{name}"
        shutil.copytree(full.run("second"), full.run(run_id))
        shutil.copytree(full.model("second"), full.model(run_id))
        put(full.model(run_id) / name, request.param)
    put(full.runs / ".settings.json", request.param)
    put(full.runs / ".posters.json", request.param)
    put(full.data / "small" / "SOURCE.json", request.param)
    shutil.copytree(
        full.data / "small", full.data / "other", ignore=shutil.ignore_patterns("movies.dat", "SOURCE.json")
    )
    put(full.data / "other" / "movies.dat", request.param)
    return full


@pytest.mark.parametrize("page", PAGES)
def test_a_page_goes_on(hostile: Root, page: str) -> None:
    app = opened(page)
    for error in [*app.error, *app.warning]:
        assert "unexpected" not in str(error.value).lower(), error.value
    if page == "app.py":
        assert {"first", "second"} <= set(app.dataframe[0].value["id"])
        assert "job.json is damaged" in words(app)


@pytest.mark.parametrize("page", ["pages/monitor.py", "pages/compare.py", "pages/recommend.py"])
def test_a_damaged_run_that_is_asked_for_is_told_in_place(hostile: Root, page: str) -> None:
    for run in sorted(folder.name for folder in hostile.runs.iterdir() if folder.name.startswith("bad-")):
        app = opened(page, {"run": run, "runs": f"first,{run}", "models": f"first,{run}"})
        for error in [*app.error, *app.warning]:
            assert "unexpected" not in str(error.value).lower(), (run, error.value)


def test_the_command_line_tells_each(hostile: Root) -> None:
    listed = run_here(hostile.path, "runs")
    assert listed.returncode == 0 and "first" in listed.stdout and "second" in listed.stdout
    assert "Traceback" not in listed.stderr and "job.json is damaged" in listed.stderr
    for run in sorted(folder.name for folder in hostile.runs.iterdir() if folder.name.startswith("bad-")):
        for command in (
            ["runs", "show", run],
            ["evaluate", run],
            ["recommend", run, "--user", 101],
            ["train", "--resume", run],
        ):
            try:
                result = run_here(hostile.path, *command)
            except RecformerError as error:
                pytest.fail(f"{command}: {error}")
            assert "Traceback" not in result.stderr and result.returncode in (0, 1, 2), (command, result.stderr)
