"""Whether a model belongs to a dataset: by the fingerprint of what it was trained on, and by its sizes."""

from pathlib import Path

from recformer.checkpoint.info import CheckpointInfo
from recformer.data.dataset import Dataset
from recformer.errors import DataError, count
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.run.record import RunDataset, trained_on


def check_fit(root: Root, info: CheckpointInfo, dataset: Dataset, checkpoint: ModelRef) -> None:
    """Raises DataError when a model was trained on other data than `dataset`, or its sizes are of other data.

    Datasets of equal sizes may give the ids other meanings, so sizes alone say little: the checkpoint's own record, and
    for an imported one its run's record, say which data it is from.
    """
    origin = _origin(root, checkpoint)
    sizes = info.shape
    if sizes.num_tokens != dataset.num_items + 2 or sizes.num_users not in (0, dataset.num_users):
        raise DataError(
            f"{checkpoint} knows {dataset.nouns.count(sizes.num_tokens - 2)} and {count(sizes.num_users, 'user')}, "
            f"{dataset.name} has {dataset.num_items} and {dataset.num_users}. {_remedy(root, origin, dataset)}"
        )
    known = _fingerprint(info, origin)
    if known not in (None, dataset.fingerprint):
        name = info.dataset["name"] if info.dataset else origin.name if origin else ""
        raise DataError(
            f"{checkpoint} was trained on {name} with fingerprint {known}, {dataset.source} has {dataset.fingerprint}: "
            f"the interactions differ, so its figures would mean nothing. {_remedy(root, origin, dataset)}"
        )


def knows_its_data(root: Root, info: CheckpointInfo, checkpoint: ModelRef) -> bool:
    """Whether anything says which data a model was trained on; where not, `check_fit` can compare sizes alone."""
    return _fingerprint(info, _origin(root, checkpoint)) is not None


def _origin(root: Root, checkpoint: ModelRef) -> RunDataset | None:
    return None if checkpoint.run_id is None else trained_on(root, checkpoint.run_id)


def _fingerprint(info: CheckpointInfo, origin: RunDataset | None) -> str | None:
    return info.dataset["fingerprint"] if info.dataset else origin.fingerprint if origin else None


def _remedy(root: Root, origin: RunDataset | None, dataset: Dataset) -> str:
    if origin is None:
        return "Use it with the dataset it was trained on, and without models of other datasets"
    folder = Path(root.path / origin.path)
    if folder.resolve() == dataset.source.resolve():
        return "The files there have changed since: put back those it was trained on, or train a new run on these"
    return f"Use it with the data in {folder}, and without models of other datasets"
