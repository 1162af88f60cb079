"""Runs on disk for the app to show: with long logs, and with untrained models."""

import re
import shutil

import torch

from benchmarks.event_files import write_run
from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.weights import write_best
from recformer.config import parse
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT
from recformer.model.sizes import Sizes
from recformer.registry import MODELS
from recformer.run.paths import Root
from recformer.run.record import RunDataset, RunRecord, write_record

TAGS = [
    "loss/train",
    "loss/validation",
    "lr",
    "metric/ndcg@10",
    "metric/hr@10",
    "metric/mrr@10",
    "throughput/samples_per_s",
]


def write_runs(root: Root, count: int, points: int | None) -> list[str]:
    """Runs with the records and checkpoints of the demo runs, and logs of so many points, or the demo runs' own where
    that is None; their ids."""
    demos = sorted(path.name for path in (PROJECT / "runs").glob("demo-*"))
    for number in range(count):
        demo, run_id = demos[number % len(demos)], f"run-{number:03}"
        others = shutil.ignore_patterns() if points is None else shutil.ignore_patterns("*tfevents*")
        shutil.copytree(PROJECT / "runs" / demo, root.run(run_id), ignore=others)
        shutil.copytree(PROJECT / "models" / demo, root.model(run_id))
        config = root.run(run_id) / "config.yaml"
        config.write_text(re.sub("^name: .*$", f"name: run {number}", config.read_text(), flags=re.M))
        if points is not None:
            write_run(root.run(run_id), points, TAGS, number)
    return [f"run-{number:03}" for number in range(count)]


def write_untrained(root: Root, run_id: str, dataset: Dataset, folder: str, window: int, seed: int) -> None:
    """A run whose best checkpoint is an untrained model of the article's sizes: it takes as long as a trained one.

    `folder`: where the dataset is, relative to the root.
    """
    torch.manual_seed(seed)
    config = parse({"name": run_id, "seed": seed})
    sizes = Sizes(dataset.num_items + 2, dataset.num_users, window)
    model = MODELS.get(config.model.name)(config.model, sizes)
    known = {"name": dataset.name, "fingerprint": dataset.fingerprint}
    info = CheckpointInfo(run_id, config.model.model_dump(mode="json"), vars(sizes), dataset=known)
    root.run(run_id).mkdir(parents=True)
    known_dataset = RunDataset(name=dataset.name, fingerprint=dataset.fingerprint, path=folder)
    write_record(root, run_id, RunRecord(config={"name": run_id}, dataset=known_dataset, commit=""))
    write_best(root.model(run_id), model, info)
