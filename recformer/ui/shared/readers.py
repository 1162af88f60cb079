"""Cached readers: pages ask here for runs, logs, datasets, ranks and models. Torch is loaded by the last two only."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from recformer.data.assemble import datasets
from recformer.data.cache import load as load_dataset
from recformer.data.dataset import Dataset
from recformer.data.ties import TimeTies
from recformer.errors import RecformerError, UsageError
from recformer.evaluation.slices import Slice, slice_intervals, slices_of
from recformer.jobs.devices import Load
from recformer.jobs.devices import loads as device_loads
from recformer.logs.reader import INDEX_FILE, RunLog
from recformer.logs.series import Curve
from recformer.run import overview
from recformer.run.find_dataset import UnknownDatasetError, dataset_of_models
from recformer.run.model_ref import ModelRef
from recformer.run.overview import DamagedRun, RunSummary, list_runs
from recformer.run.paths import Root

if TYPE_CHECKING:
    from recformer.evaluation.article_comparison import ArticleModel
    from recformer.evaluation.evaluate import Pending
    from recformer.evaluation.ranks import Masking
    from recformer.evaluation.significance import Question
    from recformer.evaluation.table import Evaluation, Result
    from recformer.logs.details import LogDetails
    from recformer.training.measure import Estimate

MOST_EVALUATIONS = 16  # in memory; a hundred thousand cases are 30 MB


def root() -> Root:
    """Where runs/, models/ and data/ are."""
    return Root.default()


def runs() -> tuple[list[RunSummary], list[DamagedRun]]:
    """All runs, newest first, and those whose records are damaged, as the disk has them now."""
    return list_runs(root())


def active_runs() -> list[RunSummary]:
    """The runs that work or wait, newest first, for what asks every few seconds."""
    return overview.active_runs(root())


@st.cache_resource(max_entries=512, show_spinner="Reading the log …")
def _log(folder: str) -> RunLog:
    log = RunLog(Path(folder), Path(folder) / INDEX_FILE)
    log.refresh()
    return log


def log(run_id: str) -> RunLog:
    """The log of a run, read on to its end as of now; only what is new since the last call is read."""
    found = _log(str(root().run(run_id)))
    found.refresh()
    return found


def curves(run_id: str) -> dict[str, Curve]:
    """All scalars of a run, tag to curve."""
    return log(run_id).scalars()


def dataset_folders() -> list[Path]:
    """Folders of the datasets below data/."""
    return datasets(root().data)


def dataset(folder: Path) -> Dataset:
    """A dataset, parsed once for all sessions and again when its files change. Raises DataError."""
    return _dataset(str(folder), tuple(_stamps(folder)))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, time and size of each file of a folder that is there; a link may lead nowhere."""
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        with suppress(OSError):
            stat = file.stat()
            yield file.name, stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset …")
def _dataset(folder: str, stamps: tuple[Any, ...]) -> Dataset:
    return load_dataset(Path(folder), root().data / ".cache")


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


def pending(
    models: Sequence[ModelRef], data: Dataset, split: str, window: int | None = None, time_ties: TimeTies = "file"
) -> "dict[ModelRef, Pending | RecformerError]":
    """What evaluating each model on the test part of a split means, or why it cannot be done."""
    from recformer.evaluation.evaluate import Task, pending_all, split_of

    return pending_all(root(), models, Task(data, split_of(split, time_ties), window=window))


def stored(entry: "Pending") -> "Evaluation | None":
    """The evaluation from the rank store, kept in memory until the model changes; None where it is not computed."""
    lock, kept = _kept()
    with lock:  # sessions are threads
        if entry.key in kept:
            return kept[entry.key]
    found = entry.stored()
    if found is not None:
        with lock:
            kept[entry.key] = found
            while len(kept) > MOST_EVALUATIONS:
                del kept[next(iter(kept))]
    return found


def keep_unstored(entry: "Pending", evaluation: "Evaluation") -> None:
    """Keep in memory what the disk refused to keep, so that it is shown all the same."""
    if evaluation.not_kept:
        lock, kept = _kept()
        with lock:
            kept[entry.key] = evaluation


@st.cache_resource(show_spinner=False)
def _kept() -> "tuple[threading.Lock, dict[str, Evaluation]]":
    return threading.Lock(), {}


@st.cache_data(max_entries=128, show_spinner=False)
def view(
    keys: tuple[str, ...],
    _evaluations: "list[Evaluation]",
    masking: "Masking",
    names: tuple[str, ...],
    reference: int | None,
    question: "Question",
) -> "list[Result]":
    """The figures of one view; see evaluation.table. `keys` say what the evaluations are of."""
    from recformer.evaluation.table import summarise_view

    return summarise_view(_evaluations, masking, names, reference, question)


@st.cache_data(max_entries=64, show_spinner=False)
def slices(
    keys: tuple[str, ...],
    _evaluations: "list[Evaluation]",
    _data: Dataset,
    dimension: str,
    name: str,
    masking: "Masking",
) -> tuple[list[Slice], list[list[dict[str, Any]]]]:
    """The slices of one dimension, and for each of them an interval a model; see evaluation.slices."""
    from recformer.evaluation.table import masking_of

    first = _evaluations[0]
    found = [] if first.facts is None else slices_of(_data, first.facts, first.ranks)
    shown = [entry for entry in found if entry.dimension == dimension]
    return shown, slice_intervals(shown, _evaluations, name, masking_of(name, masking))


@st.cache_data(max_entries=4, show_spinner=False)
def article_rows(
    keys: tuple[str, ...], _models: "list[ArticleModel]", _evaluations: "list[Evaluation]"
) -> list[dict[str, Any]]:
    """The article three ways; see evaluation.article_comparison."""
    from recformer.evaluation.article_comparison import article_rows

    return article_rows(_models, _evaluations)


@st.cache_data(ttl=1.5, show_spinner=False)
def loads() -> list[Load]:
    """How busy each device is, looked at once for all who watch."""
    return device_loads()


@st.cache_resource(show_spinner=False)
def devices() -> list[str]:
    """What a run can be trained on here: auto, cpu and each GPU."""
    import torch

    return ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


@st.cache_data(max_entries=64, show_spinner=False, ttl="10m")
def estimate(config: str, data_key: str, _data: Dataset, device: str) -> "Estimate":
    """How long a configuration (JSON) takes on a dataset here; see training.measure."""
    from recformer.config import parse
    from recformer.data.prepared import prepare
    from recformer.model.device import resolve
    from recformer.training.measure import measure

    parsed = parse(json.loads(config))
    return measure(parsed, prepare(_data, parsed.window, parsed.split), resolve(device))


def log_details(run_id: str) -> "LogDetails":
    """What a run's log holds besides curves, read again when its files change; see logs.whole. Raises StoreError."""
    from recformer.logs.details import stamps

    folder = root().run(run_id)
    return _log_details(str(folder), stamps(folder))


@st.cache_resource(max_entries=4, show_spinner="Reading the log …")
def _log_details(folder: str, stamps: tuple[tuple[str, int, int], ...]) -> "LogDetails":
    from recformer.logs.details import read_whole

    return read_whole(Path(folder))
