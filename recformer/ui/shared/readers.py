"""What pages read, kept between redraws and shared by all sessions: runs, logs, datasets, looks, the devices' load."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from recformer.data.assemble import datasets
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.errors import RecformerError, UsageError
from recformer.evaluation import store
from recformer.files.stamps import Stamp, stamp
from recformer.jobs import devices
from recformer.logs.reader import INDEX_FILE, RunLog
from recformer.run.find_dataset import UnknownDatasetError, dataset_of_models
from recformer.run.model_ref import ModelRef
from recformer.run.overview import DamagedRun, RunSummary, list_runs
from recformer.run.paths import Root


def root() -> Root:
    """Where runs/, models/ and data/ are."""
    return Root.default()


def runs() -> tuple[list[RunSummary], list[DamagedRun]]:
    """All runs, newest first, and those whose records are damaged, as the disk has them now."""
    return list_runs(root())


@st.cache_resource(max_entries=512, show_spinner="Reading the log …")
def _log(folder: Path) -> RunLog:
    log = RunLog(folder, folder / INDEX_FILE)
    log.refresh()
    return log


def log(run_id: str) -> RunLog:
    """The log of a run, read on to its end as of now; only what is new since the last call is read."""
    found = _log(root().run(run_id))
    found.refresh()
    return found


def dataset_folders() -> list[Path]:
    """Folders of the datasets below data/."""
    return datasets(root().data)


def dataset(folder: Path) -> Dataset:
    """A dataset, parsed once for all sessions and again when its files change. Raises DataError."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return _dataset(folder, tuple((file.name, stamp(file)) for file in files))


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset …")
def _dataset(folder: Path, stamps: tuple[tuple[str, Stamp | None], ...]) -> Dataset:
    return load_dataset(folder, root().data / ".cache")


def dataset_of(
    models: Sequence[ModelRef], failures: dict[ModelRef, RecformerError] | None = None, *, or_only: bool = True
) -> Dataset:
    """The dataset that the first model with a known one was trained on, else the only one there is.

    Baselines know none: they are counted from whatever the others were trained on. `failures` as in
    `find_dataset.dataset_of_models`. Raises UsageError when nobody knows, and DataError when it is not there.
    """
    try:
        return dataset_of_models(root(), models, dataset, failures)
    except UnknownDatasetError as error:
        there = dataset_folders()
        if or_only and len(there) == 1:
            return dataset(there[0])
        if error.models[0].is_baseline:
            raise UsageError("Baselines are counted from the dataset of the models beside them: add a run") from None
        raise


@st.cache_data(show_spinner=False, ttl="10m")
def models_tested(fingerprint: str, evaluated: tuple[str, ...]) -> int:
    """How many checkpoints were looked at on a test part of a dataset (see `store.models_tested`), counted anew when
    other evaluations are shown."""
    return store.models_tested(root(), fingerprint)


@st.cache_data(ttl=1.5, show_spinner=False)
def loads() -> list[devices.Load]:
    """How busy each device is, looked at once for all who watch."""
    return devices.loads()
