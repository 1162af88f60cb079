"""What a dataset's test users can show, before anything is trained for it: small differences take many users."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import count
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.ranks import Ranks
from recformer.evaluation.significance import Question
from recformer.registry import BASELINES, METRICS
from recformer.run.model_ref import PREFIX, all_baselines
from recformer.statistics.paired import detectable, standard_error
from recformer.statistics.users import UserSums, user_sums

PAIR = ("popularity", "markov")
MOST_CASES = 10_000  # that are ranked to see the spread
COMPARED = 4  # models of one's own in a usual comparison, beside all baselines
SMALL = 0.05  # of the value


@dataclass(frozen=True)
class Power:
    """The primary metric, NDCG@10 with the history masked, under leave_last_out; measured on the validation part."""

    users: int
    """Test users."""
    spread: float
    """Standard deviation over users of the paired difference between popularity and a Markov chain."""
    value: float
    """Of the better one of the two."""
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
            "measured_on": [f"{PREFIX}{name}" for name in PAIR],
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
        return f"Spread of the differences measured between {' and '.join(BASELINES.get(name).TITLE for name in PAIR)}"


def _rounded(count: int) -> str:
    """Two digits of a count are known: 16,960 is 17,000."""
    return f"{round(count, min(2 - len(str(count)), 0)):,}"


def power_of(dataset: Dataset) -> Power:
    """The power of comparisons on a dataset's test users.

    The least difference shown is (z(1 − α/2) + z(0.8)) · sd / √n (Cohen 1988, ch. 2; Sakai 2016, "Statistical
    significance, power, and sample sizes"), with α over the number of comparisons: half the difference takes four times
    the users. The sd is that of users' paired differences between popularity and a Markov chain, as unlike as two
    recommenders are, on at most 10,000 cases of the validation part: nothing looks at the test by itself, and users
    differ there as much. What else was evaluated has no say.

    Raises DataError where the split cannot be made of the dataset.
    """
    prepared = prepare(dataset, parse_section("split", "leave_last_out"))
    cases = prepared.split.validation
    some = cases[np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CASES), dtype=np.int64))]
    one, other = (_by_user(rank_baseline(name, prepared, some)[0]) for name in PAIR)
    return Power(
        users=len(np.unique(prepared.split.test.users)),
        spread=_spread(one.minus(other)),
        value=max(float(table.mean[0]) for table in (one, other)),
        comparisons=COMPARED - 1 + len(all_baselines()),
    )


def _by_user(ranks: Ranks) -> UserSums:
    question = Question()
    values = METRICS.get(question.metric)(ranks.places("history"), question.k, ranks.num_targets)
    return user_sums(values[:, None], ranks.user)


def _spread(pair: UserSums) -> float:
    """0 for a single user, whom nothing differs from."""
    users = len(pair.sums)
    return float(standard_error(pair)[0]) * users**0.5 if users > 1 else 0.0
