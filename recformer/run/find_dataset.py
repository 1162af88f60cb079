"""Where the dataset of a run is now: where its record says, or where else in data/ the same data lie."""

from collections.abc import Callable
from pathlib import Path

from recformer.data.assemble import datasets
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.data.sources.download import MD5
from recformer.errors import DataError, UsageError
from recformer.files import gate
from recformer.run.paths import Root
from recformer.run.record import RunDataset

Load = Callable[[Path], Dataset]


class MissingDatasetError(DataError):
    """The data that a run was trained on are in no known folder."""

    def __init__(self, root: Root, wanted: RunDataset) -> None:
        self.wanted = wanted
        fetch = f"Fetch it: data fetch {wanted.name}, or say" if wanted.name in MD5 else "Say"
        super().__init__(
            f"the dataset {wanted.name} is not in {root.path / wanted.path}, and nothing in {root.data} is it",
            cli=f"{fetch} where it is: --data DIR",
            page="Say below where it is" + (", or download it on the Data page" if wanted.name in MD5 else ""),
        )


class UnknownDatasetError(UsageError):
    """Nothing says which data the models called `names` were trained on."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"nothing says which dataset {names[0]} belongs to",
            cli="Name its folder: --data DIR",
            page="Choose it below",
        )


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
        found = _loaded(load, folder)
        if found is not None and _is_of(found, wanted):
            return found
    if there is None:
        raise problem or MissingDatasetError(root, wanted)
    return there


def _is_of(dataset: Dataset, wanted: RunDataset) -> bool:
    """Whether it is the run's; of a run that never began only the name is known."""
    return dataset.fingerprint == wanted.fingerprint if wanted.fingerprint else dataset.name == wanted.name


def _loaded(load: Load, folder: Path) -> Dataset | None:
    try:
        return load(folder)
    except DataError:
        return None  # the Data page tells
