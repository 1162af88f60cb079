"""How much memory the work on MovieLens-1M takes: training with its validation, evaluating, and three models at once.

    python -m benchmarks.memory --data data/ml-1m

Each is a process of the command line in a temporary root, whose resident memory is looked at 20 times a second; the
peak of each phase is reported. An epoch of training that has not ended after two minutes is stopped by SIGTERM, and its
validation then not seen. Evaluating is that of the 98,000 test windows of `random_windows`. Prints a line for each
figure, then all as JSON; ends with code 1 where a target was missed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for
from recformer.run.paths import Root

RUN, LOOK_S, EPOCH_S, BELOW_MB = "memory", 0.05, 120.0, 900
LOOKS = round(EPOCH_S / LOOK_S)
PHASES = ("loading data", "training", "validating", "evaluating")


def main() -> None:
    folder = folder_asked_for(__doc__)
    with tempfile.TemporaryDirectory() as name:
        root, data = Root(Path(name)), ["--data", str(folder)]
        train = ["train", "--preset", "baseline", *data, "--set", "num_epochs=1", "--run-id", RUN]
        seen = peaks(root, train)
        figures = [figure(f"training, {phase}", seen[phase]) for phase in PHASES if phase in seen]
        model = f"{RUN}/last"  # an epoch that was stopped has no best
        for what, command in {
            "evaluating": ["compare", model, "--no-baselines", *data, "--split", "random_windows"],
            "recommending by three models": ["recommend", *[model] * 3, *data, "--user", "1"],
        }.items():
            figures.append(figure(what, max(peaks(root, command).values())))
    report(figures)


def figure(what: str, peak: int) -> Figure:
    return Figure.of(what, [peak / 1e6], "MB", below=BELOW_MB)


def peaks(root: Root, command: list[str]) -> dict[str, int]:
    """Highest resident bytes of `python -m recformer` with these arguments, by the phase its run was in."""
    environment = os.environ | {"RECFORMER_ROOT": str(root.path)}
    found: dict[str, int] = defaultdict(int)
    with subprocess.Popen(
        [sys.executable, "-m", "recformer", *command], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        watched, looks = psutil.Process(process.pid), 0
        while not ended(process):
            with suppress(psutil.Error):  # it may end between two looks
                phase = phase_of(root)
                found[phase] = max(found[phase], watched.memory_info().rss)
            looks += 1
            if looks == LOOKS:
                process.terminate()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with code {process.returncode}")
    return found


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends before the next look."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(LOOK_S)
    return process.returncode is not None


def phase_of(root: Root) -> str:
    """What the run says it is at."""
    try:
        status = json.loads((root.run(RUN) / "status.json").read_text())
    except FileNotFoundError:
        return "starting"
    return status["phase"] or status["state"]


if __name__ == "__main__":
    main()
