"""What logging training by step costs.

    python -m benchmarks.step_log --data data/ml-1m

The first epoch of the baseline, which has the most points of all, at batch sizes 512 and 4096 on the engine that
training uses by itself. CPU time is counted, not time that passes: the share of the training's that is spent on noting
steps and on writing their figures, measured around these calls. Two trainings set against each other, one of them
without, would differ by more than this from one time to the next. Prints a line for each figure (median, lowest and
highest repeat), then all as JSON; ends with code 1 where a target was missed.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from recformer.config import TrainConfig, parse, preset
from recformer.data.dataset import Dataset
from recformer.run.paths import Root
from recformer.run.record import asked, write_record
from recformer.training.loop import Training
from recformer.training.request import Request
from recformer.training.run import train
from recformer.training.step_log import StepLog

BATCH_SIZES, REPEATS = (512, 4096), 3
MOST_PERCENT = 1.0


def main() -> None:
    dataset = parsed(folder_asked_for(__doc__))
    figures: list[Figure] = []
    for batch_size in BATCH_SIZES:
        config = parse(preset("baseline") | {"batch_size": batch_size, "num_epochs": 1})
        shares = [share_of(dataset, config) for _ in range(REPEATS)]
        what = f"step log, share of the training's CPU time, batch size {batch_size}"
        figures.append(Figure.of(what, shares, "%", below=MOST_PERCENT))
    report(figures)


def share_of(dataset: Dataset, config: TrainConfig) -> float:
    """Percent of an epoch's CPU time that goes into logging its steps."""
    logging, training = Counted(time.thread_time), Counted(time.process_time)
    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(StepLog, "note", logging.around(StepLog.note)),
        patch.object(StepLog, "write", logging.around(StepLog.write)),
        patch.object(Training, "_train_epoch", training.around(Training._train_epoch)),  # pyright: ignore[reportPrivateUsage]
        patch("recformer.training.run._evaluate_best"),
        redirect_stdout(StringIO()),
    ):
        root = Root(Path(name))
        record = asked(root, config.model_dump(mode="json"), dataset, "cpu")
        write_record(root, "run", record)
        train(root, Request("run", record, config, dataset, torch.device("cpu")))
    return 100 * logging.seconds / training.seconds


class Counted:
    """Seconds spent in some functions, by a clock of CPU time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begin = self._clock()
            try:
                return function(*arguments)
            finally:
                self.seconds += self._clock() - begin

        return call


if __name__ == "__main__":
    main()
