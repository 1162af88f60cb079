"""Runs that benchmarks train by the command line, kept from one call to the next."""

import subprocess
import sys
from pathlib import Path

from recformer.files.names import PROJECT
from recformer.run.overview import list_runs
from recformer.run.paths import Root, can_resume


def train(run_id: str, data: Path, *words: str) -> None:
    """Train a run with these words of the command line, or go on with it, or leave it as it is."""
    root = Root.default()
    state = next((run.state.name for run in list_runs(root)[0] if run.run_id == run_id), None)
    if state == "finished":
        return
    if can_resume(root, run_id):
        recformer("train", "--resume", run_id, "--data", str(data))
        return
    recformer("train", *words, "--data", str(data), "--run-id", run_id)


def recformer(*words: str) -> None:
    """One command of the command line, whose output is this script's."""
    code = subprocess.run([sys.executable, "-m", "recformer", *words], cwd=PROJECT, check=False).returncode
    if code:
        sys.exit(code)
