"""How soon the preset `fast` is as good as the preset `baseline` after 30 epochs.

    python -m benchmarks.quality --data data/ml-1m

Trains `fast` to its end, and one epoch of `baseline`, whose 30 epochs take 30 times as long. What the baseline reaches
is a number of docs/BENCHMARKS.md, from `benchmarks.time_to_quality`. Prints a line for each figure, then all as JSON;
ends with code 1 where a target was missed.
"""

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.time_to_quality import BASELINE_EPOCHS, config_of, trained

BASELINE_NDCG = 0.1507  # validation NDCG@10 of the baseline's best of 30 epochs, seed 0
SHARE = 0.1


def main() -> None:
    folder = folder_asked_for(__doc__)
    dataset = parsed(folder)
    fast = list(trained("fast", config_of("fast", 0), dataset))
    baseline = BASELINE_EPOCHS * next(trained("baseline", config_of("baseline", 0), dataset)).seconds
    best = max(reached.ndcg for reached in fast)
    report(
        [
            Figure.of("fast: validation NDCG@10", [best], "", at_least=BASELINE_NDCG),
            Figure.of("fast: seconds", [fast[-1].seconds]),
            Figure.of("baseline, 30 epochs: seconds", [baseline]),
            Figure.of("fast, share of the baseline's time", [fast[-1].seconds / baseline], "", below=SHARE),
        ]
    )


if __name__ == "__main__":
    main()
