"""The record of a checkpoint: what its model is, of what, and how good; read without torch where the file allows it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired

from pydantic import ConfigDict, StrictInt, TypeAdapter
from typing_extensions import TypedDict

from recformer.errors import CheckpointError, StoreError
from recformer.files import gate
from recformer.files.safetensors_header import record_in
from recformer.model.sizes import Sizes

FORMAT = 1
SOLVED = "solved"
"""Engine of a model that is solved at once: nothing is drawn, any seed gives the same."""


class TrainedOn(TypedDict):
    """The dataset of a checkpoint."""

    name: str
    fingerprint: str


class Provenance(TypedDict):
    """What weights were trained on."""

    fingerprint: str
    """Of the dataset."""
    split: dict[str, Any]
    """Name and options."""
    train_on: NotRequired[Literal["train", "train_and_validation"]]
    """Which of its parts; "train" where it is not said."""


UNKNOWN = Provenance(fingerprint="", split={})
"""Among ancestors: nobody knows what one of them was trained on. It is of no dataset that there is. Kept, since who has
the name of that ancestor later may be another."""


@dataclass(frozen=True)
class CheckpointInfo:
    """The JSON beside (or, for last.pt, inside) a checkpoint: all that is needed to build and judge its model."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run_id: str
    model: dict[str, Any]
    """Name and options of the registered model."""
    sizes: dict[str, StrictInt]
    """Fields of Sizes."""
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    """Validation figures at that epoch."""
    dataset: TrainedOn | None = None
    """Name and fingerprint of what it was trained on; None for an imported file of which nobody said it."""
    split: dict[str, Any] | None = None
    """Name and options of the split it was trained under; None for an imported file."""
    train_on: Literal["train", "train_and_validation"] = "train"
    """Which parts of that split."""
    ancestors: list[Provenance] | None = None
    """What every checkpoint that its weights began with was trained on, the nearest first, UNKNOWN among them where
    nobody knows; None from before this was recorded."""
    init_from: str | None = None
    """The checkpoint that its weights began with, as it was named; None for fresh weights."""
    engine: str = ""
    """What computed its steps; SOLVED for a model without any, "" where that is not known. Engines draw dropout
    otherwise: they differ as seeds do."""
    imported: bool = False
    commit: str = ""
    """Commit of the code that trained it; "" where that is not known."""
    format: int = FORMAT

    @property
    def shape(self) -> Sizes:
        return Sizes(**self.sizes)


INFO, SIZES = TypeAdapter(CheckpointInfo), TypeAdapter(Sizes)


def info_from(value: dict[str, Any], where: Path) -> CheckpointInfo:
    """The record in `value`. Raises CheckpointError naming `where` when fields are missing or unknown."""
    gate.check_values(value, where, gate.CHECKPOINT)
    if (found := value.get("format")) != FORMAT:
        raise CheckpointError(f"{where}: format {found!r:.80} is not known here; this version reads {FORMAT}")
    info = gate.validated(value, INFO, where, gate.CHECKPOINT)
    gate.validated(info.sizes, SIZES, where, gate.CHECKPOINT)
    return info


def known_info(path: Path) -> CheckpointInfo | None:
    """The record in a .safetensors file or in the .json beside it; None where there is neither. Never loads torch."""
    if (record := record_in(path)) is not None:
        return info_from(record, path)
    try:
        record = gate.read_object(path.with_suffix(".json"), gate.BEST)
    except StoreError as error:
        raise CheckpointError(str(error)) from None
    return None if record is None else info_from(record, path.with_suffix(".json"))
