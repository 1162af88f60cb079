"""The test results of all runs that are on disk already: looked at again only where a file has changed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from recformer.data.splits.split import Part
from recformer.errors import StoreError, UsageError
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.rank_store import all_stored, shelf_of, stored_ranks
from recformer.evaluation.summary import Evaluation, summarise
from recformer.metric.ndcg import ndcg
from recformer.store import CHECKPOINT_FILES, Root, find_checkpoint
from recformer.ui import readers

PART: Part = "test"
CHECKPOINT = "best"
Stamp = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time in nanoseconds of the files a result was made of."""


@dataclass(frozen=True)
class TestResult:
    """How a run's best checkpoint did under one protocol."""

    __test__ = False  # pytest takes what is called Test… for tests

    run_id: str
    protocol: Protocol
    ndcg: float
    """NDCG@10, history masked."""
    stamp: Stamp


def test_results(run_id: str) -> list[TestResult]:
    """What is stored of a run's best checkpoint as it is now, on the test part."""
    root = readers.root()
    files = [root.model(run_id) / CHECKPOINT_FILES[CHECKPOINT], *_records(root.run(run_id) / "eval")]
    stamp = tuple(known for file in files if (known := _stamp(file)) is not None)
    before = _kept().get(files[0])
    if before is None or before[0] != stamp:
        before = _kept()[files[0]] = (stamp, _results(root, run_id, stamp))
    return before[1]


@st.cache_resource(show_spinner=False)
def _kept() -> dict[Path, tuple[Stamp, list[TestResult]]]:
    return {}  # a plain one: for hundreds of runs Streamlit's hashing of the arguments would take longer than all else


def _results(root: Root, run_id: str, stamp: Stamp) -> list[TestResult]:
    try:
        shelf = shelf_of(root, find_checkpoint(root, f"{run_id}/{CHECKPOINT}"))
    except (UsageError, StoreError):  # deleted meanwhile
        return []
    return [
        TestResult(run_id, protocol, float(ndcg(ranks.rank("history"), 10).mean()), stamp)
        for protocol, ranks in (all_stored(shelf) if shelf else ())
        if protocol.part == PART
    ]


@st.cache_data(max_entries=16, show_spinner=False)
def summary_of(results: list[TestResult], cutoffs: list[int]) -> dict[str, Any]:
    """NDCG at each cutoff with intervals, history masked, of results under one protocol; see evaluation.summary.

    A result whose file is gone by now is left out.
    """
    evaluations: list[Evaluation] = []
    for result in results:
        shelf = shelf_of(readers.root(), find_checkpoint(readers.root(), f"{result.run_id}/{CHECKPOINT}"))
        ranks = None if shelf is None else stored_ranks(shelf, result.protocol)
        if ranks is not None:
            evaluations.append(Evaluation(result.run_id, CHECKPOINT, result.protocol, (ranks,), None, None))
    names = [f"ndcg@{cutoff}" for cutoff in cutoffs]
    return summarise(evaluations, cutoffs, maskings=("history",), names=names) if evaluations else {}


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
