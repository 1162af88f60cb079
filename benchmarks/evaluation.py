"""How fast a model is evaluated, against a loop over every k and every row.

    python -m benchmarks.evaluation --data data/ml-1m

The reference is what the article does: for each of k = 3, 5, 10 the model is asked again for batches of the test
windows, and rank, metrics and repeats of each row are worked out one row after the other. It is run on a tenth of the
98,000 windows of `random_windows` and its time multiplied by ten. Both must give the same sums. An untrained model
serves: what it recommends takes as long as what a good one does. Prints a line for each figure (median, lowest and
highest repeat), then all as JSON; ends with code 1 where a target was missed.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.figure import Figure, report
from recformer.config import parse, parse_section, preset
from recformer.data.cache import load
from recformer.data.prepared import Prepared, prepare
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import Ranks
from recformer.metric.duplication import duplication
from recformer.registry import METRICS, MODELS
from recformer.training.run import sizes_of

CUTOFFS, BATCH, SHARE = (3, 5, 10), 512, 10
REPEATS, TIMES_FASTER, USERS_S = 3, 20.0, 1.5
CPU = torch.device("cpu")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("data/ml-1m"), help="folder of MovieLens-1M")
    folder = arguments.parse_args().data
    if not folder.is_dir():
        arguments.error(f"{folder} is not there: python -m recformer data fetch ml-1m, or --data DIR")
    config = parse(preset("baseline"))
    with tempfile.TemporaryDirectory() as name:
        dataset = load(folder, Path(name))
    many = prepare(dataset, config.window, parse_section("split", "random_windows"))
    torch.manual_seed(0)
    model = MODELS.get(config.model.name)(config.model, sizes_of(many.windows, dataset.num_users)).eval()
    figures = all_windows(model, many)
    report([*figures, all_users(model, prepare(dataset, config.window, config.split))])


def all_windows(model: nn.Module, prepared: Prepared) -> list[Figure]:
    """The reference and ours in turn, on the same rows."""
    rows = prepared.split.rows("test")
    part = rows[::SHARE]
    reference, ours = list[float](), list[float]()
    for _ in range(REPEATS):
        begin = time.perf_counter()
        expected = row_by_row(model, prepared, part)
        reference.append((time.perf_counter() - begin) * len(rows) / len(part))
        begin = time.perf_counter()
        ranks = rank_cases(model, prepared, rows, CPU)
        figures_of(ranks)
        ours.append(time.perf_counter() - begin)
        found = figures_of(rank_cases(model, prepared, part, CPU))
        for name, value in expected.items():
            assert math.isclose(value, found[name], rel_tol=1e-6, abs_tol=1e-6), (name, value, found[name])
    ratios = [one / other for one, other in zip(reference, ours, strict=True)]
    count = f"{len(rows):,} windows"
    return [
        Figure.of(f"row by row, {count}", reference),
        Figure.of(f"one pass, {count}", ours),
        Figure.of("one pass, times as fast", ratios, "x", at_least=TIMES_FASTER),
    ]


def all_users(model: nn.Module, prepared: Prepared) -> Figure:
    """Every user's last movie."""
    rows = prepared.split.rows("test")
    seconds: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        figures_of(rank_cases(model, prepared, rows, CPU))
        seconds.append(time.perf_counter() - begin)
    return Figure.of(f"leave_last_out, {len(rows):,} users", seconds, below=USERS_S)


def figures_of(ranks: Ranks) -> dict[str, float]:
    """Metrics of the raw ranking and repeats of the window, at every k."""
    rank = ranks.rank("none")
    found = {f"{name}@{k}": float(METRICS.get(name)(rank, k).mean()) for name in ("hr", "mrr", "ndcg") for k in CUTOFFS}
    repeats = {f"duplication@{k}": float(np.mean(duplication(ranks.repeats("window", "none"), k))) for k in CUTOFFS}
    return found | repeats


def row_by_row(model: nn.Module, prepared: Prepared, rows: NDArray[np.int64]) -> dict[str, float]:
    """The same figures, the model asked anew for every k, and each row looked at by itself."""
    windows, found = prepared.windows, dict[str, float]()
    for k in CUTOFFS:
        sums = dict.fromkeys(("hr", "mrr", "ndcg", "duplication"), 0.0)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            tokens, users = torch.from_numpy(windows.inputs(batch)), torch.from_numpy(windows.users[batch])
            with torch.no_grad():
                logits = model(tokens, users)
            for row, target in enumerate(windows.targets(batch)):
                top = logits[row].topk(k).indices.tolist()
                rank = int((logits[row] >= logits[row, int(target)]).sum())
                if rank <= k:
                    sums["hr"] += 1
                    sums["mrr"] += 1 / rank
                    sums["ndcg"] += 1 / math.log2(rank + 1)
                sums["duplication"] += len(set(top) & set(tokens[row].tolist())) / k
        found |= {f"{name}@{k}": value / len(rows) for name, value in sums.items()}
    return found


if __name__ == "__main__":
    main()
