"""A process that does what a trainer does for whoever watches: heartbeats, and an epoch in the log several times a second.

python -m tests.browser.pretend_trainer FOLDER SECONDS [EPOCH from which it overfits]
"""

import os
import sys
import time
from pathlib import Path

import torch

from recformer.run.job_records import JobRecord, write_job
from recformer.run.process import birth
from recformer.training.heartbeat import Heartbeat
from recformer.training.tensorboard import TensorBoardWriter

EPOCHS = 100_000
EPOCH_S = 0.4


def main(folder: Path, seconds: float, turn: int = EPOCHS) -> None:
    now = time.time()
    write_job(
        folder,
        JobRecord(
            command=sys.argv, device="cpu", queued_at=now, started_at=now, pid=os.getpid(), birth=birth(os.getpid())
        ),
    )
    with Heartbeat(folder, torch.device("cpu"), EPOCHS, EPOCHS) as heartbeat, TensorBoardWriter(folder, 0) as writer:
        for epoch in range(1, EPOCHS):
            if time.time() > now + seconds:
                break
            scalars = {
                "loss/train": 7 / epoch**0.2,
                "loss/validation": 7 / (epoch if epoch < turn else turn / epoch) ** 0.1,
                "lr": 0.001,
            }
            writer.write(epoch, scalars)
            heartbeat.update(state="running", epoch=epoch, step=epoch, loss=scalars["loss/train"], metrics=scalars)
            time.sleep(EPOCH_S)
        heartbeat.end("finished")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), *map(int, sys.argv[3:]))
