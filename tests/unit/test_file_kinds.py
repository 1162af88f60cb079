"""A file that is no checkpoint is said to be what it is."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recformer.checkpoint.weights import read_archive, read_state
from recformer.errors import CheckpointError


def parquet(path: Path) -> None:
    pd.DataFrame({"rank": [1, 2]}).to_parquet(path)


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, predictions=np.ones(3))


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


WRITERS: dict[str, Callable[[Path], object]] = {
    "a Parquet table": parquet,
    "an archive of NumPy's arrays": npz,
    "an array of NumPy": npy,
    "JSON": lambda path: path.write_text(json.dumps({"1": [10, 20]})),
    "text, such as a table": lambda path: path.write_text("user,item,score\n1,10,0.5\n" * 100),
    "text, such as a table, which holds": lambda path: path.write_text("é" * 600),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_of_predictions_is_named_as_what_it_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.pt"
    WRITERS[kind](path)
    with pytest.raises(CheckpointError, match=f"no PyTorch checkpoint: it is {kind}.*Name a run, or a file of weights"):
        read_archive(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q", bytes(range(256))])
def test_what_may_be_a_checkpoint_that_was_cut_off_is_not_called_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_state(path)
    assert "it is" not in str(caught.value)


def test_a_list_of_predictions_saved_by_pytorch_is_said_to_be_no_weights(tmp_path: Path) -> None:
    torch.save([[10, 20], [30, 40]], tmp_path / "predictions.pt")
    with pytest.raises(CheckpointError, match="holds a list, such as predictions, and no weights"):
        read_state(tmp_path / "predictions.pt")
