"""How long the statistics of a comparison take: 5 models × 12 metrics × 6,040 users, as on the Compare page.

    python -m benchmarks.statistics

Intervals of all means; intervals, p-values and effect sizes of all differences to the first model, corrected by max-T.
Prints the figure (median, lowest and highest repeat), then as JSON; ends with code 1 where its target was missed.
"""

import time

import numpy as np

from benchmarks.figure import Figure, report
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.max_t import max_t
from recformer.statistics.paired import paired_effect_size, sign_flip_p
from recformer.statistics.users import side_by_side, user_sums

MODELS, METRICS, USERS, RUNS, TARGET_S = 5, 12, 6040, 7, 2.0


def main() -> None:
    generator = np.random.default_rng(0)
    seconds: list[float] = []
    for _ in range(RUNS):
        values = generator.random((MODELS, USERS, METRICS))  # known p-values are not computed again
        begin = time.perf_counter()
        compare(values)
        seconds.append(time.perf_counter() - begin)
    report([Figure.of(f"{MODELS} models × {METRICS} metrics × {USERS:,} users", seconds, below=TARGET_S)])


def compare(values: np.ndarray) -> np.ndarray:
    """Everything that the page shows of them; the p-values after max-T."""
    users = np.arange(values.shape[1])
    tables = [user_sums(model, users) for model in values]
    bootstrap(side_by_side(tables), [95])
    differences = side_by_side([table.minus(tables[0]) for table in tables[1:]])
    bootstrap(differences, [95])
    paired_effect_size(differences)
    sign_flip_p(differences)
    return max_t(differences)


if __name__ == "__main__":
    main()
