"""Reading and writing checkpoints: safe, whole, and never instead of a file that was good."""

import errno
import io
import json
import os
import pickle
import shutil
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import infer_info, read_archive, read_state, write_best
from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.errors import CheckpointError, RecformerError, StoreError
from recformer.evaluation.store import digest_of
from recformer.files.writing import write_json
from recformer.run.paths import Root
from recformer.training.resume_state import TrainState, newest_saved
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
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_last_comes_back_bit_for_bit_with_everything(root: Root, dataset: Dataset) -> None:
    train_here(root, "run", dataset, small_config(num_epochs=2))
    saved = read_archive(root.model("run") / "last.pt")
    model = small_model(sizes_for(dataset), seed=9)
    state = TrainState(model, torch.optim.Adam(model.parameters(), fused=True), torch.device("cpu"))
    state.restore(root.model("run"))
    assert_same_state(state.model.state_dict(), saved["model"])
    assert vars(state.position) == saved["position"]
    assert (state.position.epoch, state.position.step) == (2, 0)
    assert torch.equal(torch.get_rng_state(), saved["random"]["cpu"])
    loaded, info = load(root.model("run") / "last.pt")
    assert_same_state(loaded.state_dict(), saved["model"])
    assert info.dataset == {"name": "small", "fingerprint": dataset.fingerprint}


def write_old_best(folder: Path, model: nn.Module, info: CheckpointInfo) -> None:
    """A best checkpoint as it was before its weights held their record."""
    save_file(model.state_dict(), folder / "best.safetensors")
    write_json(folder / "best.json", asdict(info))


def test_a_best_checkpoint_without_a_record_in_it_is_read_with_the_one_beside_it(tmp_path: Path) -> None:
    write_old_best(tmp_path, small_model(sizes_for(SMALL)), info_of())
    assert load(tmp_path / "best.safetensors")[1] == info_of()


def test_a_new_best_takes_the_place_of_the_old_record_beside_it(tmp_path: Path) -> None:
    write_old_best(tmp_path, small_model(sizes_for(SMALL)), info_of())
    newer = replace(info_of(), epoch=7, metrics={"metric/ndcg@10": 1 / 3})
    write_best(tmp_path, small_model(sizes_for(SMALL), seed=1), newer)
    assert read_info(tmp_path / "best.safetensors") == newer
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_the_same_best_checkpoint_is_the_same_bytes(tmp_path: Path) -> None:
    info = replace(info_of(), metrics={"loss/train": 2.5, "metric/ndcg@10": 0.1}, dataset={"name": "a", "z": "b"})
    for name in ("one", "other"):
        write_best(tmp_path / name, small_model(sizes_for(SMALL)), info)
    assert digest_of(tmp_path / "one" / "best.safetensors") == digest_of(tmp_path / "other" / "best.safetensors")


def written(kind: str, folder: Path) -> Path:
    """A good checkpoint in one of the formats."""
    model = small_model(sizes_for(SMALL))
    if kind == "safetensors":
        write_best(folder, model, info_of())
        return folder / "best.safetensors"
    if kind == "last":
        state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
        state.save(folder, info_of())
        return folder / "last.pt"
    path = folder / "model.pth"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    return path


def train_state(seed: int = 0) -> TrainState:
    """A small model that has trained one step, so that there is a state of the optimizer."""
    model = small_model(sizes_for(SMALL), seed=seed)
    state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    sum(parameter.sum() for parameter in model.parameters()).backward()  # type: ignore[union-attr]
    state.optimizer.step()
    state.position.epoch = seed
    return state


def restored(folder: Path) -> TrainState:
    state = train_state(seed=9)
    state.restore(folder)
    return state


def assert_is_state(state: TrainState, seed: int) -> None:
    expected = train_state(seed)
    assert_same_state(state.model.state_dict(), expected.model.state_dict())
    for key, moments in expected.optimizer.state_dict()["state"].items():
        assert_same_state(state.optimizer.state_dict()["state"][key], moments)
    assert state.position == expected.position


@pytest.fixture(scope="module")
def two_saves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with states 1 and 2 saved after each other."""
    folder = tmp_path_factory.mktemp("saves") / "run"
    for seed in (1, 2):
        train_state(seed).save(folder, info_of())
    return folder


def copied(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder, dirs_exist_ok=True))


def test_saving_keeps_the_save_before_and_no_more(tmp_path: Path) -> None:
    for seed in range(4):
        train_state(seed).save(tmp_path, info_of())
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    assert_is_state(restored(tmp_path), 3)
    assert newest_saved(tmp_path).path == tmp_path / "last.pt"
    assert read_archive(tmp_path / "previous.pt")["position"]["epoch"] == 2


@given(data=st.data())
def test_a_last_file_damaged_at_any_byte_or_cut_anywhere_falls_back_or_is_what_was_saved(
    two_saves: Path, data: st.DataObject
) -> None:
    content = (two_saves / "last.pt").read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    change = data.draw(st.integers(0, 255), label="bits to flip, none to cut")
    with tempfile.TemporaryDirectory() as name:
        folder = copied(two_saves, Path(name))
        damaged = content[:place] + (bytes([content[place] ^ change]) + content[place + 1 :] if change else b"")
        (folder / "last.pt").write_bytes(damaged)
        state = restored(folder)
        if state.notes:
            assert state.notes == [
                "last.pt is cut off or damaged: the run goes on from previous.pt, the save before it, "
                "and trains again what came after."
            ]
            assert_is_state(state, 1)
        else:
            assert change, "a cut file was taken for a whole one"
            assert_is_state(state, 2)


def test_the_first_and_the_last_byte_of_every_tensor_are_checked(two_saves: Path, tmp_path: Path) -> None:
    folder = copied(two_saves, tmp_path)
    content = (folder / "last.pt").read_bytes()
    with zipfile.ZipFile(folder / "last.pt") as archive:
        tensors = [entry for entry in archive.infolist() if "/data/" in entry.filename]
    assert tensors
    for entry in tensors:
        extra = int.from_bytes(content[entry.header_offset + 28 : entry.header_offset + 30], "little")
        first = entry.header_offset + 30 + len(entry.filename) + extra
        for place in (first, first + entry.file_size - 1):
            damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            (folder / "last.pt").write_bytes(damaged)
            assert torch.load(folder / "last.pt", weights_only=True), "PyTorch itself does not notice"
            assert newest_saved(folder).path.name == "previous.pt"


def test_a_run_with_the_previous_save_alone_goes_on_from_it(two_saves: Path, tmp_path: Path) -> None:
    folder = copied(two_saves, tmp_path)
    (folder / "last.pt").unlink()
    state = restored(folder)
    assert_is_state(state, 1)
    assert state.notes[0].startswith("last.pt is missing: the run goes on from previous.pt")


def test_the_first_save_after_falling_back_spares_the_previous_one(two_saves: Path, tmp_path: Path) -> None:
    folder = copied(two_saves, tmp_path)
    (folder / "last.pt").write_bytes(b"damaged")
    previous = (folder / "previous.pt").read_bytes()
    state = restored(folder)
    state.position.epoch = 5
    state.save(folder, info_of())
    assert (folder / "previous.pt").read_bytes() == previous
    assert restored(folder).position.epoch == 5
    last = (folder / "last.pt").read_bytes()
    state.save(folder, info_of())
    assert (folder / "previous.pt").read_bytes() == last


@pytest.mark.parametrize("best", [True, False])
def test_of_two_damaged_saves_both_are_named_with_what_to_do(best: bool, two_saves: Path, tmp_path: Path) -> None:
    folder = copied(two_saves, tmp_path / "run")
    for name in ("last.pt", "previous.pt"):
        (folder / name).write_bytes(b"PK\x03\x04")
    if best:
        write_best(folder, small_model(sizes_for(SMALL)), info_of())
    with pytest.raises(
        CheckpointError, match=r"'run' cannot be resumed.*last\.pt is cut.*previous\.pt is cut"
    ) as caught:
        restored(folder)
    assert ("--init-from run/best" in str(caught.value)) == best


def test_a_resume_under_other_conditions_says_which(two_saves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert restored(two_saves).notes == []
    threads = torch.get_num_threads()
    monkeypatch.setattr("torch.get_num_threads", lambda: threads + 6)
    assert restored(two_saves).notes == [
        "The run goes on, but not bit for bit as it would have without a break: "
        f"threads {threads} before, {threads + 6} now."
    ]


def test_a_save_that_does_not_say_under_what_conditions_is_resumed_in_silence(two_saves: Path, tmp_path: Path) -> None:
    saved = read_archive(two_saves / "last.pt")
    del saved["environment"]
    del saved["position"]["seconds"]
    torch.save(saved, tmp_path / "last.pt")
    state = restored(tmp_path)
    assert_is_state(state, 2)
    assert state.notes == []


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
    write_old_best(
        tmp_path, small_model(sizes_for(SMALL)), replace(info_of(), sizes=info_of().sizes | {"num_users": 99})
    )
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
            TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu")).save(tmp_path, info_of())
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
    state.save(tmp_path, info_of())
    saved = read_archive(tmp_path / "last.pt")
    del saved[missing]
    torch.save(saved, tmp_path / "last.pt")
    with pytest.raises(
        CheckpointError, match=rf"cannot be resumed.*last\.pt cannot be read: {missing}: field required"
    ):
        state.restore(tmp_path)


def test_a_record_says_the_model_as_options(root: Root) -> None:
    info = read_info(save_untrained(root, "run", SMALL).path)
    assert info.model == small_config().model.model_dump(mode="json")
    assert isinstance(small_config().model, Options)


def test_a_save_that_may_not_make_its_folder_leaves_a_deleted_one_deleted(tmp_path: Path) -> None:
    model = small_model(sizes_for(SMALL))
    state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    gone = tmp_path / "run"
    with pytest.raises(StoreError, match="could not write"):
        state.save(gone, info_of(), make_folder=False)
    with pytest.raises(StoreError, match="could not write"):
        write_best(gone, model, info_of(), make_folder=False)
    assert not gone.exists()


def test_positions_beyond_the_table_are_refused_before_a_forward_pass(tmp_path: Path) -> None:
    """PyTorch loads them, and ends in an index error where the model is asked."""
    model = small_model(sizes_for(SMALL))
    state = model.state_dict()
    key = next(key for key in state if key.endswith("positional_ids"))
    torch.save(state | {key: state[key] + 10**9}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth has other numbers in .*positional_ids"):
        load(tmp_path / "model.pth")
    training = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    training.save(tmp_path, info_of())
    saved = read_archive(tmp_path / "last.pt")
    saved["model"][key] += 10**9
    torch.save(saved, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="positional_ids"):
        training.restore(tmp_path)
