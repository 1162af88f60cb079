"""Where the dataset of a run is now: where its record says, or where else in data/ the same data lie."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from recformer.data.assemble import datasets
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.data.sources.grouplens import SETS
from recformer.errors import DataError, RecformerError, UsageError
from recformer.files import gate
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.run.record import RunDataset, trained_on

Load = Callable[[Path], Dataset]


class MissingDatasetError(DataError):
    """The data that a run was trained on are in no known folder."""

    def __init__(self, root: Root, wanted: RunDataset) -> None:
        self.wanted = wanted
        fetch = f"Fetch it: data fetch {wanted.name}, or say" if wanted.name in SETS else "Say"
        super().__init__(
            f"the dataset {wanted.name} is not in {root.path / wanted.path}, and nothing in {root.data} is it",
            cli=f"{fetch} where it is: --data DIR",
            page="Say below where it is" + (", or download it on the Data page" if wanted.name in SETS else ""),
        )


class UnknownDatasetError(UsageError):
    """Nothing says which data the models were trained on."""

    def __init__(self, models: Sequence[ModelRef]) -> None:
        self.models = models
        super().__init__(
            f"nothing says which dataset {models[0]} belongs to",
            cli="Name its folder: --data DIR",
            page="Choose it below",
        )


def dataset_of_models(
    root: Root,
    models: Sequence[ModelRef],
    load: Load | None = None,
    failures: dict[ModelRef, RecformerError] | None = None,
) -> Dataset:
    """The data that the first of the models which knows its own was trained on; baselines and files know none.

    Where that model's data cannot be had, that is raised; with `failures` it is noted there, and the next model asked.
    Raises UnknownDatasetError where no model knows its data; else as `find_dataset`.
    """
    problem: RecformerError | None = None
    for model in models:
        try:
            known = None if model.run_id is None else trained_on(root, model.run_id)
            if known is not None:
                return find_dataset(root, known, load)
        except RecformerError as error:
            if failures is None:
                raise
            problem = problem or error
            failures[model] = error
    raise problem or UnknownDatasetError([model for model in models if not model.is_baseline] or models)


def find_dataset(root: Root, wanted: RunDataset, load: Load | None = None) -> Dataset:
    """The data that a run was trained on: where its record says, else the folder in data/ with the same fingerprint.

    Where only the recorded folder is there, with other data by now, it is that; whoever uses it compares fingerprints.
    `load` replaces the loading of a folder. Raises MissingDatasetError, and DataError when it cannot be read.
    """
    load = load or (lambda folder: load_dataset(folder, root.data / ".cache"))
    recorded = root.path / wanted.path
    problem: DataError | None = None
    there: Dataset | None = None
    try:
        there = load(recorded) if gate.is_folder(recorded) else None
    except DataError as error:
        problem = error
    if there is not None and _is_of(there, wanted):
        return there
    for folder in sorted(datasets(root.data), key=lambda folder: folder.name != wanted.name):
        with suppress(DataError):  # the Data page tells
            if _is_of(found := load(folder), wanted):
                return found
    if there is None:
        raise problem or MissingDatasetError(root, wanted)
    return there


def _is_of(dataset: Dataset, wanted: RunDataset) -> bool:
    """Whether it is the run's; of a run that never began only the name is known."""
    return dataset.fingerprint == wanted.fingerprint if wanted.fingerprint else dataset.name == wanted.name
