"""How soon the preset `fast` is as good as the preset `baseline` after 30 epochs.

    python -m benchmarks.fast_preset --data data/ml-1m

Trains `fast` to its end from three seeds, and an epoch of `baseline` before and after; its 30 epochs take 30 times as
long. What the baseline reaches is a number of docs/BENCHMARKS.md, from `benchmarks.time_to_quality`. Prints a line for
each figure, then all as JSON; ends with code 1 where a target was missed.
"""

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.time_to_quality import BASELINE_EPOCHS, Reached, config_of, trained
from recformer.data.dataset import Dataset

BASELINE_NDCG = 0.1507  # validation NDCG@10 of the baseline's best of 30 epochs, seed 0; after the last it is .1484
SEEDS, SHARE = (0, 1, 2), 0.1


def main() -> None:
    dataset = parsed(folder_asked_for(__doc__))
    baseline = trained("baseline", config_of("baseline", 0), dataset)
    first = next(baseline).seconds
    fast = [end_of_fast(seed, dataset) for seed in SEEDS]
    second = next(baseline).seconds - first
    whole = BASELINE_EPOCHS * (first + second) / 2
    report(
        [
            Figure.of("fast: validation NDCG@10", [end.ndcg for end in fast], "", at_least=BASELINE_NDCG),
            Figure.of("fast: epochs", [end.epoch for end in fast], ""),
            Figure.of("fast: minutes", [end.seconds / 60 for end in fast], "min"),
            Figure.of("baseline, 30 epochs: minutes", [BASELINE_EPOCHS * each / 60 for each in (first, second)], "min"),
            Figure.of("fast, share of the baseline's time", [end.seconds / whole for end in fast], "", below=SHARE),
        ]
    )


def end_of_fast(seed: int, dataset: Dataset) -> Reached:
    *_, end = trained("fast", config_of("fast", seed), dataset)
    return end


if __name__ == "__main__":
    main()
