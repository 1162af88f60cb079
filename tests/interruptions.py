"""A run that is interrupted at random moments and goes on until it is finished, on the real command line."""

import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recformer.run.overview import find_run, list_runs
from recformer.run.paths import Root, can_resume
from recformer.training.resume_state import newest_saved
from tests.builders import sequences, write_ml1m
from tests.training_helpers import SMALL_SET, assert_same_training, curves, run_cli, started_cli

EPOCHS = 3
# Dropout, a schedule that moves each epoch, shuffling; an epoch of hundreds of steps, with a save every fifty.
CHANGES = ["batch_size=8", f"num_epochs={EPOCHS}", *SMALL_SET, "model.dropout=0.3", "schedule=cosine"]
CHANGES += ["schedule_period=2", "learning_rate=0.01", "save_steps=50", "engine=native"]


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run called `whole`, in a root that others are trained in too."""

    root: Root
    data: Path
    lifetime_s: float
    """How long its process lived, from its start to its end."""

    @classmethod
    def trained(cls, folder: Path) -> "Reference":
        data = write_ml1m(folder / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))
        root = Root(folder / "root")
        run_cli(root.path, "runs")  # so that the fork server has imported everything
        begin = time.monotonic()
        result = run_cli(root.path, *fresh(data, "whole"))
        assert result.returncode == 0, result.stderr
        return cls(root, data, time.monotonic() - begin)


def fresh(data: Path, run_id: str) -> list[str]:
    """Arguments of a run from its first step."""
    words = ["train", "--preset", "baseline", "--set", *CHANGES, "--data", str(data)]
    return [*words, "--run-id", run_id, "--device", "cpu"]


def goes_on(reference: Reference, run_id: str) -> list[str]:
    """Arguments of what a person does next: resume it, or where nothing was saved, start it again."""
    if can_resume(reference.root, run_id):
        return ["train", "--resume", run_id, "--data", str(reference.data), "--device", "cpu"]
    return fresh(reference.data, run_id)


def interrupted_at_random(reference: Reference, seed: int, signals: Sequence[signal.Signals]) -> None:
    """Interrupt a run once to three times, let it finish, and compare it with the uninterrupted one."""
    chance, run_id = random.Random(seed), f"seed-{seed}"
    for _ in range(chance.randint(1, 3)):
        _interrupt(reference, run_id, chance.choice(signals), chance.uniform(0.02, reference.lifetime_s))
        if _finished(reference.root, run_id):
            break
    if not _finished(reference.root, run_id):
        result = run_cli(reference.root.path, *goes_on(reference, run_id))
        assert result.returncode == 0, result.stderr
    assert find_run(reference.root, run_id).state.name == "finished"
    assert_same_training(reference.root, run_id, "whole")
    assert curves(reference.root.run(run_id))["loss/train"][0] == list(range(1, EPOCHS + 1))
    models = sorted(path.name for path in reference.root.model(run_id).iterdir())
    assert models == ["best.safetensors", "last.pt", "previous.pt"]  # no leftovers: disk use is bounded


def _interrupt(reference: Reference, run_id: str, number: signal.Signals, after_s: float) -> None:
    with started_cli(reference.root.path, *goes_on(reference, run_id)) as process:
        try:
            process.wait(timeout=after_s)  # it may have ended by itself
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert "Error" not in errors, errors
    _assert_honest(reference.root, run_id, process.returncode)


def _assert_honest(root: Root, run_id: str, code: int) -> None:
    """Every record can be read, the state fits the way the process ended, and a save is whole where there is one."""
    assert list_runs(root)[1] == []
    if not (root.run(run_id) / "job.json").exists():
        return  # it was gone before it had begun
    state = find_run(root, run_id).state
    # A process that was killed before it had claimed the run leaves the state of the one before.
    expected = ("finished", "stopped") if code == 0 else ("finished", "stopped", "lost")
    assert code in (0, -signal.SIGTERM, -signal.SIGKILL)
    assert state.name in expected, (code, state)
    assert not state.active
    if can_resume(root, run_id):
        newest_saved(root.model(run_id))


def _finished(root: Root, run_id: str) -> bool:
    return (root.run(run_id) / "job.json").exists() and find_run(root, run_id).state.name == "finished"
