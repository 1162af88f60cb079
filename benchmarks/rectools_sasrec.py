"""SASRec of RecTools on the parts that `data export --format csv` wrote: how fast it trains, and how good it is.

    PYTHON -I benchmarks/rectools_sasrec.py DIR [--epochs 10] [--width 64] [--length 200]

Runs in an environment of RecTools' own (`pip install rectools==0.19.0 pytorch-lightning torch`), whose dependencies
are older than ours, and imports nothing of this project (-I: `statistics` here must not hide Python's). Prints one line
of JSON.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models.nn.transformers.sasrec import SASRecModel

CUTOFF = 10


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    for name, default in (("epochs", 10), ("width", 64), ("length", 200), ("seed", 0), ("threads", 2)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    arguments.add_argument(
        "--part", choices=["none", "validation", "test"], default="none", help="what it is judged on"
    )
    asked = arguments.parse_args()
    torch.set_num_threads(asked.threads)
    seed_everything(asked.seed)
    train = pd.read_csv(asked.folder / "train.csv")
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=asked.width,
        session_max_len=asked.length,
        loss="softmax",
        lr=0.001,
        batch_size=128,
        epochs=asked.epochs,
        get_trainer_func=trainer,
        get_trainer_func_kwargs={"epochs": asked.epochs},
    )
    begun = time.perf_counter()
    model.fit(dataset_of(train))
    seconds = time.perf_counter() - begun
    lengths = train.groupby("user_id").size().to_numpy()
    positions = asked.epochs * int(np.minimum(lengths - 1, asked.length).sum())
    found = {"positions": positions, "seconds": seconds, "positions_per_s": positions / seconds}
    if asked.part != "none":
        found["ndcg@10"] = judged(model, asked.folder, train, asked.part)
    print(json.dumps(found))


def trainer(epochs: int) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def dataset_of(interactions: pd.DataFrame) -> Dataset:
    """RecTools' own, in the order of the file: its times are made of places, which break no ties anew."""
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: interactions["user_id"],
                Columns.Item: interactions["item_id"],
                Columns.Weight: 1.0,
                Columns.Datetime: pd.to_datetime(np.arange(len(interactions)), unit="s"),
            }
        )
    )


def judged(model: SASRecModel, folder: Path, train: pd.DataFrame, part: str) -> float:
    """NDCG@10 with the history masked; on the test, the validation item belongs to the history."""
    targets = pd.read_csv(folder / f"{part}.csv")
    histories = [train] if part == "validation" else [train, pd.read_csv(folder / "validation.csv")]
    known = pd.concat(histories).sort_values("user_id", kind="stable")
    lists = model.recommend(
        users=targets["user_id"].to_numpy(), dataset=dataset_of(known), k=CUTOFF, filter_viewed=True
    )
    hits = lists.merge(targets, left_on=[Columns.User, Columns.Item], right_on=["user_id", "item_id"])
    return float((1 / np.log2(hits[Columns.Rank] + 1)).sum() / len(targets))


if __name__ == "__main__":
    main()
