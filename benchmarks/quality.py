"""How good the models are: all of them in one table, on the test part.

    python -m benchmarks.quality --data data/ml-1m [--seeds 3] [--rectools PYTHON]

Trains what is not trained yet, one run after the other (run ids quality-<dataset>-<recipe>-<seed>): the article's model
for 20 epochs, the presets as they are, the models that are solved, for each seed a blend of `strong`, `best` and ridge,
and refits of ridge, counts, `quick`, `strong` and `best`. Prints the minutes that each took, `compare` of the test part
as Markdown, the seeds of a recipe joined, and, where `--rectools` names the Python of an environment that has it,
NDCG@10 of RecTools' SASRec. An evening on two cores; a run that was interrupted is resumed.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.trained_runs import recformer, train
from recformer.config import parse_section
from recformer.data.export import export
from recformer.files.names import PROJECT
from recformer.run.job_records import read_job
from recformer.run.paths import Root
from recformer.training.request import dataset_in

TRAINED = {
    "baseline": ["--preset", "baseline", "--set", "num_epochs=20"],
    "fast": ["--preset", "fast"],
    "quick": ["--preset", "quick"],
    "strong": ["--preset", "strong"],
    "best": ["--preset", "best"],
}
SOLVED = ("ridge", "counts")
REFITTED = ("quick", "strong", "best")
RECTOOLS_EPOCHS = 10


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the dataset")
    arguments.add_argument("--seeds", type=int, default=3, help="runs of each recipe (default: %(default)s)")
    arguments.add_argument("--rectools", metavar="PYTHON", help="Python of an environment that has RecTools")
    arguments.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the transformers' settings"
    )
    asked = arguments.parse_args()
    data: Path = asked.data.resolve()
    prefix = f"quality-{data.name}"
    runs = [*solved(prefix, data)]
    for seed in range(asked.seeds):
        runs += trained(prefix, data, seed, asked.set)
    for run in runs:
        print(f"{run}: {minutes(run):.1f} minutes")
    protocol = ["--part", "test", "--k", "10", "--data", str(data)]
    recformer("compare", *runs, *protocol, "--format", "markdown")
    if asked.rectools:
        print(f"RecTools' SASRec, {RECTOOLS_EPOCHS} epochs: {rectools(asked.rectools, data, asked.seeds)}")


def solved(prefix: str, data: Path) -> list[str]:
    """Run ids of what is solved at once, and of its refits."""
    runs: list[str] = []
    for name in SOLVED:
        run = f"{prefix}-{name}"
        train(run, data, "--preset", name)
        train(f"{run}-refit", data, "--refit", run)
        runs += [run, f"{run}-refit"]
    return runs


def trained(prefix: str, data: Path, seed: int, settings: list[str]) -> list[str]:
    """Run ids of what is trained from one seed, of its refits, and of the blend."""
    runs: list[str] = []
    for recipe, words in TRAINED.items():
        run = f"{prefix}-{recipe}-{seed}"
        changes = settings if recipe in REFITTED else []
        train(run, data, *words, "--set", f"seed={seed}", *changes)
        runs.append(run)
        if recipe in REFITTED:
            train(f"{run}-refit", data, "--refit", run)
            runs.append(f"{run}-refit")
    parts = [f"{prefix}-strong-{seed}", f"{prefix}-best-{seed}", f"{prefix}-ridge"]
    blend = f"{prefix}-blend-{seed}"
    train(blend, data, "--preset", "blend", "--set", f"model.parts={json.dumps(parts)}", f"seed={seed}")
    return [*runs, blend]


def minutes(run: str) -> float:
    """How long a run's last training took."""
    job = read_job(Root.default().run(run))
    return 0.0 if job is None or not job.started_at or not job.ended_at else (job.ended_at - job.started_at) / 60


def rectools(python: str, data: Path, seeds: int) -> str:
    """NDCG@10 on the test part from each seed, and minutes of training."""
    script = str(PROJECT / "benchmarks" / "rectools_sasrec.py")
    with tempfile.TemporaryDirectory() as name:
        split = parse_section("split", "leave_last_out")
        parts = export(dataset_in(Root.default(), data), split, "csv", Path(name) / "parts")[0].parent
        said: list[str] = []
        for seed in range(seeds):
            command = [python, "-I", script, str(parts), "--part", "test", "--seed", str(seed)]
            command += ["--epochs", str(RECTOOLS_EPOCHS)]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            said.append(f"NDCG@10 {found['ndcg@10']:.4f} in {found['seconds'] / 60:.1f} minutes")
    return ", ".join(said)


if __name__ == "__main__":
    main()
