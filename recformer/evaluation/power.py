"""What a dataset's test users can show, before anything is trained for it: small differences take many users."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from typing import Any

import numpy as np

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import RecformerError, count
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.protocol import Protocol, protocol_of
from recformer.evaluation.ranks import RECENT, Ranks
from recformer.evaluation.significance import Question
from recformer.evaluation.store import store_key_of, stored_protocols, stored_ranks
from recformer.registry import METRICS
from recformer.run.model_ref import PREFIX, ModelRef, all_baselines
from recformer.run.paths import Root, run_ids
from recformer.statistics.paired import detectable, standard_error
from recformer.statistics.users import UserSums, user_sums

CHEAP = ("popularity", "markov")
MOST_RUNS = 8  # whose stored ranks are read
MOST_CASES = 10_000  # that are ranked to see the spread
COMPARED = 4  # models of one's own in a usual comparison, beside all baselines
SMALL = 0.05  # of the value


@dataclass(frozen=True)
class Power:
    """The primary metric, NDCG@10 with the history masked, under leave_last_out; measured on the validation part."""

    users: int
    """Test users."""
    spread: float
    """Standard deviation over users of the paired difference of two models; median over all pairs of `models`."""
    value: float
    """The highest value among the models."""
    models: tuple[str, ...]
    """Between which the spread was measured: runs and baselines."""
    comparisons: int
    """Of a usual comparison."""

    @property
    def alone(self) -> float:
        """The least true difference that is found significant 80 times of 100, at 5%, in a single comparison."""
        return detectable(self.spread / self.users**0.5)

    @property
    def corrected(self) -> float:
        """The same in a usual comparison, after its correction."""
        return detectable(self.spread / self.users**0.5, self.comparisons)

    @property
    def small(self) -> float:
        """A small difference: 5% of the value."""
        return SMALL * self.value

    def users_for(self, difference: float) -> int:
        """How many users it takes to find this true difference in a single comparison; `difference` is above 0."""
        return ceil((detectable(self.spread) / difference) ** 2)

    def as_dict(self) -> dict[str, Any]:
        """As JSON says it; what cannot be known is None."""
        known = self.spread > 0 and self.value > 0
        return {
            "metric": Question().primary,
            "users": self.users,
            "detectable": self.alone if self.spread else None,
            "comparisons": self.comparisons,
            "detectable_corrected": self.corrected if self.spread else None,
            "small_difference": self.small if known else None,
            "users_for_it": self.users_for(self.small) if known else None,
            "measured_on": list(self.models),
        }

    def __str__(self) -> str:
        if not self.spread:
            return (
                f"The models that were measured are equally good for each of {count(self.users, 'test user')}: what "
                "these can show is not known."
            )
        needed = _rounded(self.users_for(self.small))
        return (
            f"{self.users:,} test users show differences in {Question().title} from {self.alone:.4f} on, from "
            f"{self.corrected:.4f} on among {self.comparisons} comparisons (80% power, 5%). A difference of "
            f"{self.small:.4f}, {SMALL:.0%} of {self.value:.3f}, would take {needed} users."
        )

    @property
    def measured(self) -> str:
        """Where the spread comes from."""
        return f"Spread of the differences measured between {', '.join(self.models)}"


def _rounded(count: int) -> str:
    """Two digits of a count are known: 16,960 is 17,000."""
    return f"{round(count, min(2 - len(str(count)), 0)):,}"


def power_of(root: Root, dataset: Dataset) -> Power:
    """The power of comparisons on a dataset's test users.

    The least difference shown is (z(1 − α/2) + z(0.8)) · sd / √n (Cohen 1988, ch. 2; Sakai 2016, "Statistical
    significance, power, and sample sizes"), with α over the number of comparisons: half the difference takes four times
    the users. The sd of paired differences is that of models whose ranks are stored, or, where these are fewer than
    two, of popularity and a Markov chain, ranked here on at most 10,000 cases.

    Raises DataError where the split cannot be made of the dataset.
    """
    split = parse_section("split", "leave_last_out")
    prepared = prepare(dataset, split)
    cases = prepared.split.validation  # nothing looks at the test by itself, and users differ there as much
    ranked = _stored(root, protocol_of(prepared, split, "validation", RECENT))
    if len(ranked) < 2:
        some = cases[np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CASES), dtype=np.int64))]
        ranked = {PREFIX + name: rank_baseline(name, prepared, some)[0] for name in CHEAP}
    tables = {name: _by_user(ranks) for name, ranks in ranked.items()}
    return Power(
        users=len(np.unique(prepared.split.test.users)),
        spread=_median_spread(tables),
        value=max(float(table.mean[0]) for table in tables.values()),
        models=tuple(tables),
        comparisons=COMPARED - 1 + len(all_baselines()),
    )


def _by_user(ranks: Ranks) -> UserSums:
    question = Question()
    values = METRICS.get(question.metric)(ranks.places("history"), question.k, ranks.num_targets)
    return user_sums(values[:, None], ranks.user)


def _median_spread(tables: Mapping[str, UserSums]) -> float:
    """0 for a single user, whom nothing differs from."""
    pairs = [one.minus(other) for one, other in combinations(tables.values(), 2)]
    spreads = [float(standard_error(pair)[0]) * len(pair.sums) ** 0.5 for pair in pairs if len(pair.sums) > 1]
    return float(np.median(spreads)) if spreads else 0.0


def _stored(root: Root, protocol: Protocol) -> dict[str, Ranks]:
    """Stored ranks under the protocol, of baselines and of some runs that were trained on no case of it."""
    runs = [run for run in run_ids(root) if (root.run(run) / "eval" / f"best-{protocol.key}.parquet").is_file()]
    found: dict[str, Ranks] = {}
    for model in [*(ModelRef.of_run(root, run) for run in runs[-MOST_RUNS:]), *all_baselines()]:
        with suppress(RecformerError):
            key = store_key_of(root, model)
            fair = key is not None and any(
                one == protocol and seen.trained_on == 0 for one, seen in stored_protocols(key)
            )
            if key is not None and fair and (stored := stored_ranks(key, protocol)) is not None:
                found[model.run] = stored[0]
    return found
