"""The test results of all runs that are on disk already: looked at again only where a file has changed."""

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from recformer.data.split.base import Part
from recformer.errors import StoreError, UsageError
from recformer.evaluation.baselines import all_baselines, baseline_store_key, find_model
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.significance import Question
from recformer.evaluation.store import StoreKey, all_stored, store_key_of, stored_ranks
from recformer.evaluation.table import Evaluation, Result, summarise_view
from recformer.run.paths import CHECKPOINT_FILES, CheckpointRef
from recformer.ui.shared import readers

PART: Part = "test"
CHECKPOINT = "best"
Stamp = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time in nanoseconds of the files a result was made of."""


@dataclass(frozen=True)
class TestResult:
    """That ranks of a run's best checkpoint, or of a baseline, are stored under one protocol."""

    __test__ = False  # pytest takes what is called Test… for tests

    run_id: str
    """Or the baseline's name."""
    protocol: Protocol
    stamp: Stamp


def test_results(run_id: str) -> list[TestResult]:
    """What is stored of a run's best checkpoint as it is now, on the test part."""
    root = readers.root()
    files = [root.model(run_id) / CHECKPOINT_FILES[CHECKPOINT], *_records(root.run(run_id) / "eval")]
    stamp = tuple(known for file in files if (known := _stamp(file)) is not None)
    before = _kept().get(files[0])
    if before is None or before[0] != stamp:
        before = _kept()[files[0]] = (stamp, _results(run_id, stamp))
    return before[1]


@st.cache_resource(show_spinner=False)
def _kept() -> dict[Path, tuple[Stamp, list[TestResult]]]:
    return {}  # a plain one: for hundreds of runs Streamlit's hashing of the arguments would take longer than all else


def _results(run_id: str, stamp: Stamp) -> list[TestResult]:
    store_key = _store_key(run_id)
    return [
        TestResult(run_id, protocol, stamp)
        for protocol, _ in (all_stored(store_key) if store_key else ())
        if protocol.part == PART
    ]


def baseline_results(protocol: Protocol) -> list[TestResult]:
    """The baselines that are evaluated under a protocol already."""
    store_keys = {name: _store_key(name) for name in all_baselines()}
    stamps = {name: _stamp(store_key.path(protocol)) for name, store_key in store_keys.items() if store_key is not None}
    return [TestResult(name, protocol, (stamp,)) for name, stamp in stamps.items() if stamp is not None]


@st.cache_data(max_entries=16, show_spinner=False)
def compared(results: list[TestResult], names: list[str], question: Question) -> list[Result]:
    """Figures of `names`, history masked, of results under one protocol, each compared to the first of them.

    A result whose file is gone by now is left out; where the first one's is, nothing is compared.
    """
    evaluations: list[Evaluation] = []
    for result in results:
        store_key = _store_key(result.run_id)
        ranks = None if store_key is None else stored_ranks(store_key, result.protocol)
        if ranks is not None:
            evaluations.append(Evaluation(result.run_id, CHECKPOINT, result.protocol, (ranks,), None, None))
    if not evaluations or evaluations[0].run != results[0].run_id:
        return []
    return summarise_view(evaluations, "history", names, 0, question)


def _store_key(name: str) -> StoreKey | None:
    """Where the ranks of a run's best checkpoint, or of a baseline, are kept; None where it is gone."""
    root = readers.root()
    try:
        found = find_model(root, name if name in all_baselines() else f"{name}/{CHECKPOINT}")
        return store_key_of(root, found) if isinstance(found, CheckpointRef) else baseline_store_key(root, found)
    except (UsageError, StoreError):
        return None


def _records(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names) if name.startswith(f"{CHECKPOINT}-")]


def _stamp(file: Path) -> tuple[str, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return file.name, stat.st_size, stat.st_mtime_ns
