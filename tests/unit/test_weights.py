"""Reading and writing checkpoints: safe, whole, and never instead of a file that was good."""

import errno
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, RecformerError, StoreError
from recformer.store import Root
from recformer.training.state import TrainState
from recformer.weights import CheckpointInfo, infer_info, load, read_archive, read_info, read_state, write_best
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import (
    assert_same_state,
    save_untrained,
    sizes_for,
    small_config,
    small_model,
    train_here,
)

SMALL = dataset_of([[0, 1, 2, 3, 4, 5]] * 3, num_items=8)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


def info_of(run_id: str = "run") -> CheckpointInfo:
    return CheckpointInfo(
        run_id=run_id, model=small_config().model.model_dump(mode="json"), sizes=vars(sizes_for(SMALL))
    )


class Payload:
    """A pickle of it touches a file when it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class SystemPayload(Payload):
    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


def test_best_comes_back_bit_for_bit_with_its_record(tmp_path: Path) -> None:
    model = small_model(sizes_for(SMALL))
    write_best(tmp_path, model, info_of())
    assert_same_state(read_state(tmp_path / "best.safetensors"), model.state_dict())
    loaded, info = load(tmp_path / "best.safetensors")
    assert_same_state(loaded.state_dict(), model.state_dict())
    assert info == info_of()
    assert json.loads((tmp_path / "best.json").read_text())["run_id"] == "run"


def test_last_comes_back_bit_for_bit_with_everything(root: Root, dataset: Dataset) -> None:
    train_here(root, "run", dataset, small_config(num_epochs=2))
    saved = read_archive(root.model("run") / "last.pt")
    model = small_model(sizes_for(dataset), seed=9)
    state = TrainState(model, torch.optim.Adam(model.parameters(), fused=True), torch.device("cpu"))
    state.restore(root.model("run") / "last.pt")
    assert_same_state(state.model.state_dict(), saved["model"])
    assert vars(state.position) == saved["position"]
    assert (state.position.epoch, state.position.step) == (2, 0)
    assert torch.equal(torch.get_rng_state(), saved["random"]["cpu"])
    loaded, info = load(root.model("run") / "last.pt")
    assert_same_state(loaded.state_dict(), saved["model"])
    assert info.dataset == {"name": "small", "fingerprint": dataset.fingerprint}


def written(kind: str, folder: Path) -> Path:
    """A good checkpoint in one of the formats."""
    model = small_model(sizes_for(SMALL))
    if kind == "safetensors":
        write_best(folder, model, info_of())
        return folder / "best.safetensors"
    if kind == "last":
        state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
        state.save(folder / "last.pt", info_of())
        return folder / "last.pt"
    path = folder / "model.pth"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    return path


KINDS = ["zip", "legacy", "last", "safetensors"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_of_state_dict_is_read(kind: str, tmp_path: Path) -> None:
    state = read_state(written(kind, tmp_path))
    assert_same_state(state, small_model(sizes_for(SMALL)).state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_a_checkpoint_error(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    content = path.read_bytes()
    for length in [0, 1, 2, 8, 100, *range(200, len(content), len(content) // 25), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=path.name):
            read_state(path)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_cut_file_is_not_said_to_be_dangerous(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(CheckpointError, match="cut off or damaged"):
            read_state(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_byte_never_gives_anything_but_weights_or_a_checkpoint_error(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    content = path.read_bytes()
    for place in range(0, len(content), max(len(content) // 80, 1)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read_state(path)
        except CheckpointError as error:
            assert path.name in str(error)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x80", b"\x80\x02.", b"PK\x03\x04", b"\x00" * 64, b"<html>404"])
def test_what_is_no_checkpoint_is_a_checkpoint_error(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=path.name):
        read_state(path)


@pytest.mark.parametrize(
    "value", [[1, 2], torch.zeros(3), {}, {"a": 1}, {"a": {"b": torch.zeros(1)}}, {"model": 3}, "x"]
)
def test_an_archive_without_a_state_dict_is_a_checkpoint_error(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth"):
        read_state(tmp_path / "model.pth")


@pytest.mark.parametrize("payload", [Payload, SystemPayload])
@pytest.mark.parametrize("form", ["pickle", "zip", "legacy", "inside"])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    payload: type[Payload], form: str, suffix: str, tmp_path: Path
) -> None:
    touched, path = tmp_path / "touched", tmp_path / f"model{suffix}"
    evil: Any = payload(touched)
    if form == "pickle":
        path.write_bytes(pickle.dumps(evil))
    elif form == "inside":
        torch.save(small_model(sizes_for(SMALL)).state_dict() | {"more": evil}, path)
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    for read in (read_state, read_archive, read_info):
        with pytest.raises(CheckpointError, match=r"was refused: its pickle.*could run code") as caught:
            read(path)
        assert "weights_only" not in str(caught.value)  # PyTorch's advice to load it all the same
    assert not touched.exists()


def test_the_payload_of_these_tests_does_run_when_loaded_without_care(tmp_path: Path) -> None:
    pickle.load(io.BytesIO(pickle.dumps(Payload(tmp_path / "touched"))))  # noqa: S301
    assert (tmp_path / "touched").exists()


def test_a_state_dict_of_another_architecture_is_told_with_its_keys(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3, 3), "encoder.bias": torch.zeros(3)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"no known model has these keys \(encoder\.weight, encoder\.bias"):
        read_info(tmp_path / "model.pth")


def test_weights_that_do_not_fit_their_record_are_told(tmp_path: Path) -> None:
    write_best(tmp_path, small_model(sizes_for(SMALL)), info_of())
    record = json.loads((tmp_path / "best.json").read_text())
    record["sizes"]["num_users"] = 99
    (tmp_path / "best.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"does not fit movie_transformer.*user_embedding\.weight"):
        load(tmp_path / "best.safetensors")


@pytest.mark.parametrize("options", [{"num_heads": 3}, {"num_heads": "many"}, {"depth": 3}, {"name": "other"}])
def test_options_that_do_not_fit_the_shapes_are_an_error_for_people(options: dict[str, Any], tmp_path: Path) -> None:
    path = written("zip", tmp_path)
    with pytest.raises(RecformerError, match=f"{next(iter(options))}|there is no"):
        infer_info(path, read_state(path), options)


def no_space(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(path: Path, data: Any) -> int:
    """Like a disk that is full after a few bytes."""
    with path.open("wb") as file:
        file.write(bytes(data)[:100])
    return no_space()


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.write_bytes", "pathlib.Path.replace", "tempfile.mkstemp"])
@pytest.mark.parametrize("file", ["best.safetensors", "last.pt"])
def test_a_write_that_fails_half_way_leaves_the_file_before_it(
    broken: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(seed: int) -> None:
        model = small_model(sizes_for(SMALL), seed=seed)
        if file == "last.pt":
            TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu")).save(
                tmp_path / file, info_of()
            )
        else:
            write_best(tmp_path, model, info_of())

    write(0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(broken, half_written if broken.endswith("write_bytes") else no_space)
    with pytest.raises(StoreError, match=r"No space left on device.*what was there before is unchanged"):
        write(1)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same_state(read_state(tmp_path / file), small_model(sizes_for(SMALL), seed=0).state_dict())
    write(1)
    assert_same_state(read_state(tmp_path / file), small_model(sizes_for(SMALL), seed=1).state_dict())


def test_a_disk_that_fills_up_while_training_fails_the_run_and_keeps_what_was_saved(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_here(root, "run", dataset, small_config(num_epochs=1))
    before = {path.name: path.read_bytes() for path in root.model("run").iterdir()}
    monkeypatch.setattr("pathlib.Path.write_bytes", half_written)
    with pytest.raises(StoreError, match="No space left"):
        train_here(root, "run", dataset, small_config(num_epochs=2), resume=True)
    monkeypatch.undo()
    status = json.loads((root.run("run") / "status.json").read_text())
    assert status["state"] == "failed"
    assert "No space left" in status["message"]
    assert {path.name: path.read_bytes() for path in root.model("run").iterdir()} == before
    load(root.model("run") / "best.safetensors")
    assert train_here(root, "run", dataset, small_config(num_epochs=2), resume=True) == "finished"


@pytest.mark.parametrize("missing", ["model", "optimizer", "position", "random"])
def test_a_last_file_without_a_part_cannot_be_resumed_from(missing: str, tmp_path: Path) -> None:
    model = small_model(sizes_for(SMALL))
    state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    state.save(tmp_path / "last.pt", info_of())
    saved = read_archive(tmp_path / "last.pt")
    del saved[missing]
    torch.save(saved, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt cannot be resumed from"):
        state.restore(tmp_path / "last.pt")


def test_a_record_says_the_model_as_options(root: Root) -> None:
    info = read_info(save_untrained(root, "run", SMALL).path)
    assert info.model == small_config().model.model_dump(mode="json")
    assert isinstance(small_config().model, Options)
