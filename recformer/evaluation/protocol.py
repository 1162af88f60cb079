"""The protocol: everything that must be equal before two numbers may stand in one column."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from recformer.config import Options
from recformer.data.histories import interactions
from recformer.data.prepared import Prepared
from recformer.data.split.base import Part, time_ties_of
from recformer.data.ties import TimeTies, tied_at
from recformer.errors import EvaluationError
from recformer.statistics.bootstrap import SEED

TIES = "against the model: rank = 1 + other items that score at least as much"


@dataclass(frozen=True)
class Protocol:
    """How cases were chosen and ranked. Masking is not part of it: one pass gives all three."""

    dataset: str
    fingerprint: str
    """Of the dataset."""
    split: dict[str, Any]
    """Name and options of the split."""
    part: Part
    """test or validation."""
    cases: int
    cases_fingerprint: str
    """Of the rows evaluated, so that a changed split shows."""
    skipped_users: int
    """Users whose history is too short to give a case."""
    recent: int
    """Latest tokens of a history that count as its window, for masking and for duplication. How many a model reads is
    its own affair."""
    item_set: str
    """items: the whole catalogue; tokens: SOS and EOS too, as in the article."""
    history: str = "all items of the user before the target"
    ties: str = TIES
    bootstrap_seed: int = SEED
    time_ties: TimeTies = "file"
    """How ties in time are broken; see data.ties."""
    sample: dict[str, int] | None = None
    """How many users are sampled, and the seed; None: everybody is evaluated."""
    time_tied: float | None = field(default=None, compare=False)
    """Share of cases whose target is tied in time with its neighbours; None in records from before it was counted. It
    follows from the rest."""

    @property
    def key(self) -> str:
        """16 hex digits that differ where the protocols do, the same as before there were ties and samples."""
        values = self._fixed()
        if self.time_ties == "file":
            del values["time_ties"]
        if self.sample is None:
            del values["sample"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def _fixed(self) -> dict[str, Any]:
        """What must be equal; the share of ties is a fact about the cases and follows from it."""
        return {name: value for name, value in asdict(self).items() if name != "time_tied"}

    def differing(self, other: "Protocol") -> list[str]:
        """Names of what is not the same in another protocol."""
        others = other._fixed()
        return [name for name, value in self._fixed().items() if value != others[name]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def protocol_of(prepared: Prepared, split: Options, part: Part, recent: int) -> Protocol:
    """The protocol of evaluating on one part of prepared data."""
    options = split.model_dump(mode="json")
    options.pop("time_ties", None)
    cases = prepared.cases(part)
    return Protocol(
        dataset=prepared.dataset.name,
        fingerprint=prepared.dataset.fingerprint,
        split=options,
        part=part,
        cases=len(cases),
        cases_fingerprint=cases.fingerprint,
        skipped_users=prepared.split.skipped_users,
        recent=recent,
        item_set=prepared.split.item_set,
        time_ties=time_ties_of(split),
        sample=None if prepared.sample is None else asdict(prepared.sample),
        time_tied=_share_tied(prepared, part),
    )


def _share_tied(prepared: Prepared, part: Part) -> float:
    """Share of a part's cases whose target is at the time of the interaction before or after it; EOS is at none."""
    histories, cases = prepared.histories, prepared.cases(part)
    items = cases[histories.targets(cases) < histories.num_items]
    return float(tied_at(prepared.dataset, interactions(items)).sum() / len(cases))


def require_same(protocols: list[Protocol]) -> Protocol:
    """The one protocol of all. Raises EvaluationError naming what differs and what to do."""
    for other in protocols[1:]:
        differing = protocols[0].differing(other)
        if differing:
            raise EvaluationError(
                f"results under different protocols cannot stand in one table: {', '.join(differing)} differ. Evaluate "
                "all of them on one dataset, split and part, on the same users, with one window, and ties in time "
                "broken in one way"
            )
    return protocols[0]
