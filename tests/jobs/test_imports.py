"""What a command does not import: that is what its start does not wait for, on any machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from recformer.files.names import PROJECT
from recformer.run.paths import Root
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import SMALL_SET, environment, save_untrained

PRINTS_LOADED = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from recformer.cli.commands import main
main()
"""
HEAVY = {"torch", "pandas", "pyarrow", "streamlit", "plotly", "scipy", "tensorboard", "requests", "matplotlib"}
TRAIN = ["train", "--preset", "baseline", "--device", "cpu", "--run-id", "run", "--set", "num_epochs=1", *SMALL_SET]


def loaded(root: Path, *arguments: object) -> set[str]:
    """Modules that a fresh process of the command line holds at its end."""
    words = [sys.executable, "-c", PRINTS_LOADED, *map(str, arguments)]
    result = subprocess.run(words, cwd=PROJECT, env=environment(root), capture_output=True, text=True, check=True)
    return set(result.stderr.splitlines()[-1].split())


def test_help_reads_no_record(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "--help") & (HEAVY | {"numpy", "pydantic", "yaml", "psutil", "filelock"})


@pytest.mark.parametrize("arguments", [["--json"], ["--filter", "name=x"], ["queue"]], ids=" ".join)
def test_the_list_of_runs_loads_neither_torch_nor_tables_nor_what_draws_help(
    tmp_path: Path, arguments: list[str]
) -> None:
    assert not loaded(tmp_path, "runs", *arguments) & (HEAVY | {"rich", "typer.rich_utils"})


def test_a_training_loads_neither_the_app_nor_what_downloads(tmp_path: Path) -> None:
    found = loaded(tmp_path, *TRAIN, "--data", write_ml1m(tmp_path / "small", sequences()))
    assert "torch" in found
    assert not found & {"streamlit", "plotly", "scipy", "requests", "rich"}


def test_a_recommendation_loads_no_compiler_of_pytorchs(tmp_path: Path) -> None:
    save_untrained(Root(tmp_path), "run", dataset_in(tmp_path / "small"))
    found = loaded(tmp_path, "recommend", "run", "--user", "101", "--data", tmp_path / "small")
    assert "torch" in found
    assert not found & {"torch._dynamo", "torch._inductor", "streamlit", "plotly", "requests", "rich"}


def test_a_dataset_is_read_without_arrows_scanner_whose_threads_may_abort_the_process_at_its_end(
    tmp_path: Path,
) -> None:
    folder = write_ml1m(tmp_path / "small", sequences())
    for _ in ("stored", "read"):
        found = loaded(tmp_path, "data", "info", folder)
    assert "pyarrow.parquet.core" in found and "pyarrow._dataset" not in found
