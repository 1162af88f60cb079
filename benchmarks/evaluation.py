"""How fast a model is evaluated, against a loop over every k and every row.

    python -m benchmarks.evaluation --data data/ml-1m

The reference goes the article's way: a dataset that gives one case at a time, and for each of k = 3, 5, 10 two passes
over it: for the metrics with the input window taken out of the ranking, and for the repeats in the raw list. Each
asks the model for batches of 512 and works out one row after the other. It is run on a tenth of the 98,000 windows of
`random_windows` and its time multiplied by ten. Both must give the same means. Ours gives more in its one pass: all k
up to 20, the history masked too, and the lists. An untrained model serves; a good one takes ours some 5% longer, since
histories hide more of its lists. Prints a line for each figure (median, lowest and highest repeat), then all as JSON;
ends with code 1 where a target was missed.
"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from recformer.config import parse, parse_section, preset
from recformer.data.histories import Cases, Histories
from recformer.data.prepared import Prepared, prepare
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import Ranks
from recformer.metric.duplication import duplication
from recformer.registry import METRICS, MODELS
from recformer.training.initialisation import sizes_of

CUTOFFS, BATCH, SHARE = (3, 5, 10), 512, 10
REPEATS, TIMES_FASTER, USERS_S = 3, 20.0, 1.5
CPU = torch.device("cpu")


def main() -> None:
    folder = folder_asked_for(__doc__)
    config = parse(preset("baseline"))
    dataset = parsed(folder)
    many = prepare(dataset, parse_section("split", "random_windows"))
    torch.manual_seed(0)
    model = MODELS.get(config.model.name)(config.model, sizes_of(config, many.histories)).eval()
    figures = all_windows(model, many, config.window)
    report([*figures, all_users(model, prepare(dataset, config.split), config.window)])


def all_windows(model: nn.Module, prepared: Prepared, window: int) -> list[Figure]:
    """The reference and ours in turn, on the same cases."""
    cases = prepared.split.test
    part = cases[::SHARE]
    reference, ours = list[float](), list[float]()
    for _ in range(REPEATS):
        begin = time.perf_counter()
        expected = row_by_row(model, prepared, part, window)
        reference.append((time.perf_counter() - begin) * len(cases) / len(part))
        begin = time.perf_counter()
        ranks = rank_cases(model, prepared, cases, window, CPU, recent=window)
        figures_of(ranks)
        ours.append(time.perf_counter() - begin)
        found = figures_of(rank_cases(model, prepared, part, window, CPU, recent=window))
        for name, value in expected.items():
            assert math.isclose(value, found[name], rel_tol=1e-6, abs_tol=1e-6), (name, value, found[name])
    ratios = [one / other for one, other in zip(reference, ours, strict=True)]
    count = f"{len(cases):,} windows"
    return [
        Figure.of(f"row by row, {count}", reference),
        Figure.of(f"one pass, {count}", ours),
        Figure.of("one pass, times as fast", ratios, "x", at_least=TIMES_FASTER),
    ]


def all_users(model: nn.Module, prepared: Prepared, window: int) -> Figure:
    """Every user's last movie."""
    cases = prepared.split.test
    seconds: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        figures_of(rank_cases(model, prepared, cases, window, CPU))
        seconds.append(time.perf_counter() - begin)
    return Figure.of(f"leave_last_out, {len(cases):,} users", seconds, below=USERS_S)


def figures_of(ranks: Ranks) -> dict[str, float]:
    """Metrics with the window masked and repeats of the window in the raw list, at every k."""
    rank = ranks.rank("window")
    found = {f"{name}@{k}": float(METRICS.get(name)(rank, k).mean()) for name in ("hr", "mrr", "ndcg") for k in CUTOFFS}
    repeats = {f"duplication@{k}": float(np.mean(duplication(ranks.repeats("window", "none"), k))) for k in CUTOFFS}
    return found | repeats


class OneByOne(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Input (T,), user and target of one case at a time."""

    def __init__(self, histories: Histories, cases: Cases, window: int) -> None:
        self.inputs = torch.from_numpy(histories.inputs(cases, window)).long()
        self.users = torch.from_numpy(cases.users).long()
        self.targets = torch.from_numpy(histories.targets(cases)).long()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.inputs[row], self.users[row], self.targets[row]


def row_by_row(model: nn.Module, prepared: Prepared, cases: Cases, window: int) -> dict[str, float]:
    """The same figures, with the model asked anew for each of them and each row looked at by itself."""
    loader = DataLoader[Any](OneByOne(prepared.histories, cases, window), batch_size=BATCH)
    found = dict[str, float]()
    for k in CUTOFFS:
        found |= {f"{name}@{k}": value / len(cases) for name, value in ranking_sums(model, loader, k).items()}
        found[f"duplication@{k}"] = repeats_of(model, loader, k) / (k * len(cases))
    return found


def ranking_sums(model: nn.Module, loader: DataLoader[Any], k: int) -> dict[str, float]:
    """Hits, reciprocal ranks and gains at k, summed over all cases, with the input taken out of each list."""
    sums: dict[str, float] = dict.fromkeys(("hr", "mrr", "ndcg"), 0.0)
    for inputs, users, targets in loader:
        for window, target, tokens in zip(
            inputs, targets, best(model, inputs, users, k + inputs.shape[1]), strict=True
        ):
            listed = tokens[torch.isin(tokens, window, invert=True)][:k]
            place = (listed == target).nonzero()
            if len(place):
                rank = int(place) + 1
                sums["hr"] += 1
                sums["mrr"] += 1 / rank
                sums["ndcg"] += 1 / math.log2(rank + 1)
    return sums


def repeats_of(model: nn.Module, loader: DataLoader[Any], k: int) -> int:
    """How many of the first k are in the input, over all cases."""
    repeats = 0
    for inputs, users, _ in loader:
        for window, tokens in zip(inputs, best(model, inputs, users, k), strict=True):
            _, counts = torch.cat([window, tokens]).unique(return_counts=True)
            repeats += int((counts > 1).sum())
    return repeats


def best(model: nn.Module, inputs: Tensor, users: Tensor, k: int) -> Tensor:
    """The k most likely tokens of each case, (B, k)."""
    with torch.no_grad():
        return model(inputs, users).softmax(dim=-1).topk(k, dim=-1).indices


if __name__ == "__main__":
    main()
