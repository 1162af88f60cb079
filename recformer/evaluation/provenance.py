"""What a model was trained and chosen on, by itself and by every checkpoint that its weights began with."""

from collections.abc import Sequence
from contextlib import suppress

from recformer.checkpoint.info import CheckpointInfo, Provenance
from recformer.checkpoint.load import read_info
from recformer.config import Options, parse_section, with_window_size
from recformer.data.prepared import TrainOn
from recformer.errors import CheckpointError, RecformerError
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from recformer.run.record import read_record

MOST_ANCESTORS = 100  # in a chain: more is a circle of records that somebody wrote by hand


def trainings_of(root: Root, model: ModelRef, info: CheckpointInfo) -> list[Provenance] | None:
    """Datasets and splits that a checkpoint's weights have seen, its own first; None where any of them is unknown.

    What a run begins with, it has seen: trained one more epoch under another split, a model still knows the test cases
    of that one. An imported file, or one whose record does not say what it began with, is unknown. So is one made by an
    earlier version, unless its run's record says it.
    """
    found: list[Provenance] = []
    for _ in range(MOST_ANCESTORS):
        own = training_of(info)
        if own is None:
            return None
        found.append(own)
        if info.ancestors is not None:
            return [*found, *info.ancestors]
        record = None
        with suppress(RecformerError):
            record = read_record(root.run(model.run_id)) if model.run_id else None
        if record is None:
            return None
        if record.init_from is None:
            return found
        try:
            model = find_model(root, record.init_from)
            info = read_info(model.path)
        except RecformerError:
            return None
    return None


def training_of(info: CheckpointInfo) -> Provenance | None:
    """What a checkpoint's own training saw; None where its record does not say."""
    if info.imported or info.split is None or info.dataset is None:
        return None
    split = with_window_size(info.split, info.shape.window)
    found = Provenance(fingerprint=info.dataset["fingerprint"], split=split)
    return found if info.train_on == "train" else {**found, "train_on": info.train_on}


def splits_of(trainings: Sequence[Provenance], fingerprint: str) -> list[tuple[Options, TrainOn]] | None:
    """The different splits of one dataset that were trained under, and on which of their parts; None where another
    dataset was trained on.

    Whether the cases of one dataset are in another nobody knows. Raises CheckpointError for a split that cannot be.
    """
    if any(training["fingerprint"] != fingerprint for training in trainings):
        return None
    try:
        splits: list[tuple[Options, TrainOn]] = [
            (parse_section("split", one["split"]), one.get("train_on", "train")) for one in trainings
        ]
        return list(dict.fromkeys(splits))
    except ValueError as error:
        raise CheckpointError(f"the split in the checkpoint's record is damaged: {error}") from None
