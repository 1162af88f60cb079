"""Weights are found whatever wraps them; where there are several sets, one is chosen by its name."""

import argparse
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from recformer.checkpoint.weights import infer_info, read_state
from recformer.errors import CheckpointError, UsageError
from tests.builders import dataset_of
from tests.training_helpers import assert_same_state, sizes_for, small_model

SMALL = dataset_of([[0, 1, 2, 3, 4, 5]] * 3, num_items=8)
State = dict[str, Tensor]


def state_of(seed: int = 0) -> State:
    return dict(small_model(sizes_for(SMALL), seed=seed).state_dict())


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def lightning(state: State) -> dict[str, Any]:
    """What a Lightning checkpoint holds: the weights with the field's name before each key, and much beside them."""
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed("model.", state) | {"criterion.weight": torch.ones(3), "val_ndcg.total": torch.ones(())},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.ones(()), "dirpath": "x"}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1, "width": 16},
    }


ONE_SET: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 4},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    "model": lambda state: {"model": state, "args": {"lr": 0.1}},
    "network": lambda state: {"network": state},
    "module": lambda state: {"module": state},
    "DistributedDataParallel": lambda state: prefixed("module.", state),
    "torch.compile": lambda state: prefixed("_orig_mod.", state),
    "compiled within DistributedDataParallel": lambda state: prefixed("module._orig_mod.", state),
    "DistributedDataParallel within compiled": lambda state: {"model": prefixed("_orig_mod.module.", state)},
    "a compiled part": lambda state: {
        key.replace("movie_transformer.", "movie_transformer._orig_mod."): value for key, value in state.items()
    },
    "AveragedModel": lambda state: {"n_averaged": torch.tensor(5), **prefixed("module.", state)},
    "Lightning": lightning,
    "an entry that is no tensor": lambda state: {**state, "epoch": 3},
}


@pytest.mark.parametrize("wrapped", ONE_SET.values(), ids=ONE_SET.keys())
def test_weights_are_found_whatever_wraps_them(wrapped: Callable[[State], Any], tmp_path: Path) -> None:
    torch.save(wrapped(state_of()), tmp_path / "model.pth")
    found = read_state(tmp_path / "model.pth")
    assert_same_state(found, state_of())
    assert infer_info(tmp_path / "model.pth", found, {"num_heads": 2}).sizes == vars(sizes_for(SMALL))


def test_weights_in_safetensors_are_found_under_a_prefix(tmp_path: Path) -> None:
    save_file(prefixed("module.", state_of()), tmp_path / "model.safetensors")
    assert_same_state(read_state(tmp_path / "model.safetensors"), state_of())


SEVERAL: dict[str, tuple[Callable[[State, State], Any], str, str]] = {
    "ema": (lambda own, ema: {"model": own, "ema": {"decay": 0.99, "module": ema}}, "model", "ema"),
    "ema_state_dict": (lambda own, ema: {"state_dict": own, "ema_state_dict": ema}, "state_dict", "ema_state_dict"),
    "model_ema": (lambda own, ema: {"model": own, "model_ema": prefixed("module.", ema)}, "model", "model_ema"),
    "fields of a module": (
        lambda own, ema: {"state_dict": prefixed("net.", own) | prefixed("ema_net.", ema)},
        "state_dict.net",
        "ema_net",
    ),
    "ema within the state dict": (lambda own, ema: own | prefixed("ema.", ema), "weights", "ema"),
}


@pytest.mark.parametrize(("wrapped", "own", "ema"), SEVERAL.values(), ids=SEVERAL.keys())
def test_of_several_sets_one_is_chosen_by_name(
    wrapped: Callable[[State, State], Any], own: str, ema: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    torch.save(wrapped(state_of(0), state_of(1)), path)
    with pytest.raises(CheckpointError, match="several sets of weights"):
        read_state(path)
    assert_same_state(read_state(path, own), state_of(0))
    assert_same_state(read_state(path, ema), state_of(1))


def test_a_name_that_no_set_or_several_have_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": state_of(0), "ema_1": state_of(1), "ema_2": state_of(2)}, path)
    with pytest.raises(UsageError, match="no weights called 'swa'; allowed: model, ema_1, ema_2"):
        read_state(path, "swa")
    with pytest.raises(UsageError, match="several weights called 'ema'"):
        read_state(path, "ema")


def test_classes_of_lightning_and_namespaces_beside_the_weights_are_read_as_nothing_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("pytorch_lightning")
    ran: list[object] = []

    class Hyperparameters(dict[str, Any]):
        def __init__(self, *values: Any) -> None:
            ran.append(values)
            super().__init__(*values)

    class Callback:
        pass

    for kind in (Hyperparameters, Callback):
        kind.__module__, kind.__qualname__ = "pytorch_lightning", kind.__name__
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", module)
    content = {"hyper_parameters": Hyperparameters({"lr": 0.1}), "args": argparse.Namespace(width=16)}
    torch.save(lightning(state_of()) | content | {"callbacks": {Callback: {"best": 1}}}, tmp_path / "model.ckpt")
    ran.clear()
    assert_same_state(read_state(tmp_path / "model.ckpt"), state_of())
    assert not ran


def test_one_class_of_another_program_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save({"state_dict": state_of(), "path": Path("/")}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"could run code \(.*pathlib.*save model\.state_dict\(\)"):
        read_state(tmp_path / "model.pth")


def test_a_file_without_weights_of_a_known_model_shows_what_it_has(tmp_path: Path) -> None:
    torch.save({"model": {"encoder.weight": torch.ones(2)}, "epoch": 3}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"no known model has these keys \(encoder\.weight"):
        read_state(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2, 3]], "holds a list"),
        (torch.ones(3, 10), "holds a Tensor"),
        ({"user": [1, 2], "items": [[3], [4]]}, "holds no tensors by name"),
        ({}, "holds no tensors by name"),
    ],
)
def test_predictions_are_said_to_be_no_weights(value: Any, words: str, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "predictions.pt")
    with pytest.raises(CheckpointError, match=f"{words}.*no weights.*save model.state_dict"):
        read_state(tmp_path / "predictions.pt")
