"""How soon the preset `fast` is as good as the preset `baseline` after 30 epochs.

    python -m benchmarks.quality --data data/ml-1m

Trains two epochs of `baseline`, one before and one after `fast` is trained to its end; its 30 epochs take 15 times as
long. What the baseline reaches is a number of docs/BENCHMARKS.md, from `benchmarks.time_to_quality`. Prints a line for
each figure, then all as JSON; ends with code 1 where a target was missed.
"""

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for, parsed
from benchmarks.time_to_quality import BASELINE_EPOCHS, config_of, trained

BASELINE_NDCG = 0.1507  # validation NDCG@10 of the baseline's best of 30 epochs, seed 0
SHARE = 0.1


def main() -> None:
    dataset = parsed(folder_asked_for(__doc__))
    baseline = trained("baseline", config_of("baseline", 0), dataset)
    first = next(baseline).seconds
    fast = list(trained("fast", config_of("fast", 0), dataset))
    both = next(baseline).seconds
    whole = BASELINE_EPOCHS / 2 * both
    good = next((reached for reached in fast if reached.ndcg >= BASELINE_NDCG), fast[-1])
    report(
        [
            Figure.of("fast: validation NDCG@10", [good.ndcg], "", at_least=BASELINE_NDCG),
            Figure.of("fast: epochs", [good.epoch], ""),
            Figure.of("fast: minutes", [good.seconds / 60], "min"),
            Figure.of(
                "baseline, 30 epochs: minutes", [BASELINE_EPOCHS * each / 60 for each in (first, both - first)], "min"
            ),
            Figure.of("fast, share of the baseline's time", [good.seconds / whole], "", below=SHARE),
        ]
    )


if __name__ == "__main__":
    main()
