"""The native step against PyTorch: losses, gradients and whole trainings, for every loss and shape that it knows."""

import copy
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recformer.config import TrainConfig, parse
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.loss.seen import Seen
from recformer.model.native.training_step import NativeStep, why_not
from recformer.registry import LOSSES, MODELS
from recformer.training.initialisation import sizes_of
from recformer.training.window_batches import WindowBatches
from tests.builders import dataset_of
from tests.effort import examples
from tests.narrower import NARROWER, built_for
from tests.training_helpers import SMALL_MODEL

CPU = torch.device("cpu")
LOSS_OPTIONS: list[dict[str, Any]] = [
    {"name": "cross_entropy"},
    {"name": "argmax_penalty", "penalty": 0.7},
    {"name": "argmax_penalty", "penalty": 0.7, "reduction": "median"},
    *(
        {"name": name, "of": of}
        for name in ("masked_softmax", "soft_penalty", "unlikelihood")
        for of in ("window", "history")
    ),
]
SHAPES: list[dict[str, Any]] = [
    {},
    {"repeat_bias": True},
    {"num_layers": 2, "num_heads": 4, "width": 32},
    {"num_heads": 1, "user_width": 48, "hidden_sizes": [32]},
]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """40 users with 6 to 30 of 50 movies, some of them twice."""
    random = np.random.default_rng(3)
    return dataset_of([random.integers(0, 50, size).tolist() for size in random.integers(6, 31, 40)], num_items=50)


def configuration(model: dict[str, Any], loss: dict[str, Any], **changes: Any) -> TrainConfig:
    base = {"name": "native", "model": SMALL_MODEL | {"dropout": 0.0} | model, "loss": loss, "batch_size": 64}
    return parse(base | changes)


def model_of(config: TrainConfig, prepared: Prepared, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = MODELS.get(config.model.name)(config.model, sizes_of(config, prepared.histories)).train()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and scales begin at 0 and 1, where faults would not show
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def adam(model: nn.Module, rate: float = 0.01) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=rate, fused=True)


def native(config: TrainConfig, model: nn.Module) -> NativeStep:
    assert why_not(config) is None
    return NativeStep(config, cast(Any, model), adam(model))


def batch_of(config: TrainConfig, prepared: Prepared, rows: int) -> tuple[Seen, Tensor]:
    batch = WindowBatches(prepared, config, CPU).first()
    seen, targets = batch.seen, batch.targets
    return Seen(seen.sequences, seen.window[:rows], seen.users[:rows], seen.ends[:rows]), targets[:rows]


def assert_same_gradients(config: TrainConfig, dataset: Dataset, rows: int, seed: int = 0) -> None:
    prepared = prepare(dataset, config.split)
    model = model_of(config, prepared, seed)
    seen, targets = batch_of(config, prepared, rows)
    loss = LOSSES.get(config.loss.name)(config.loss)(model(seen.window, seen.users), targets, seen)
    loss.backward()
    step = native(config, model)
    torch.testing.assert_close(step.gradients_of(seen), loss.detach(), rtol=1e-5, atol=1e-5)
    for name, parameter in model.named_parameters():
        largest = float(cast(Tensor, parameter.grad).abs().max())
        torch.testing.assert_close(
            step.gradients[name], parameter.grad, rtol=1e-4, atol=1e-5 * largest + 1e-9, msg=name
        )


@pytest.mark.parametrize("loss", LOSS_OPTIONS, ids=lambda loss: "-".join(map(str, loss.values())))
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(shape) or "small")
def test_loss_and_every_gradient_are_pytorchs(shape: dict[str, Any], loss: dict[str, Any], dataset: Dataset) -> None:
    assert_same_gradients(configuration(shape, loss), dataset, 61)


def test_a_head_and_users_wider_than_all_else(dataset: Dataset) -> None:
    shape = {"user_width": 128, "hidden_sizes": [160]}
    assert_same_gradients(configuration(shape, {"name": "cross_entropy"}, window=1), dataset, 40)


@pytest.mark.parametrize(
    "loss", LOSS_OPTIONS[:1] + LOSS_OPTIONS[-2:], ids=lambda loss: "-".join(map(str, loss.values()))
)
@pytest.mark.parametrize("most_lanes", NARROWER)
def test_narrower_vectors_give_the_same(most_lanes: int, loss: dict[str, Any], dataset: Dataset) -> None:
    config = configuration(SHAPES[2] | {"repeat_bias": True}, loss)
    with built_for(most_lanes):
        made = native(config, model_of(config, prepare(dataset, config.split)))
        assert made.lanes <= most_lanes
        assert_same_gradients(config, dataset, 61)


@pytest.mark.parametrize("window", [1, 2, 4, 7])
def test_windows_of_other_sizes(window: int, dataset: Dataset) -> None:
    assert_same_gradients(configuration({}, {"name": "soft_penalty"}, window=window), dataset, 33)


@pytest.fixture(scope="module")
def short_dataset() -> Dataset:
    """40 users with none to 9 of 50 movies, some of them twice."""
    random = np.random.default_rng(4)
    return dataset_of([random.integers(0, 50, size).tolist() for size in [*range(10)] * 4], num_items=50)


@pytest.mark.parametrize("window", [1, 5, 12])
@pytest.mark.parametrize("loss", LOSS_OPTIONS, ids=lambda loss: "-".join(map(str, loss.values())))
def test_windows_that_sos_fills_have_pytorchs_gradients(
    window: int, loss: dict[str, Any], short_dataset: Dataset
) -> None:
    config = configuration(SHAPES[1], loss, window=window, short_histories="pad")
    prepared = prepare(short_dataset, config.split)
    seen, targets = batch_of(config, prepared, 64)
    lengths = seen.ends - seen.sequences.user_starts[seen.users]
    assert lengths.min() == 1 and lengths.max() > 5
    assert ((seen.window == prepared.histories.sos).sum(dim=1) >= window - lengths).all()
    assert torch.equal(targets, seen.sequences.tokens[seen.ends])
    assert_same_gradients(config, short_dataset, 64)


def test_steps_on_padded_windows_are_pytorchs(short_dataset: Dataset) -> None:
    config = configuration({}, {"name": "soft_penalty", "of": "window"}, batch_size=16, short_histories="pad")
    prepared = prepare(short_dataset, config.split)
    model = model_of(config, prepared)
    other = copy.deepcopy(model)
    optimizer, step = adam(model), NativeStep(config, cast(Any, other), adam(other))
    loss_of = LOSSES.get("soft_penalty")(config.loss)
    curve = list[tuple[float, float]]()
    for epoch in range(3):
        for batch in WindowBatches(prepared, config, CPU).epoch(epoch, 0):
            seen, targets = batch.seen, batch.targets
            loss = loss_of(model(seen.window, seen.users), targets, seen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append((float(loss.detach()), float(step(seen))))
    expected, found = np.array(curve).T
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@given(rows=st.integers(1, 64), seed=st.integers(0, 1000), loss=st.sampled_from(LOSS_OPTIONS))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_of_rows_and_any_weights(rows: int, seed: int, loss: dict[str, Any], dataset: Dataset) -> None:
    assert_same_gradients(configuration({}, loss), dataset, rows, seed)


def test_a_repeat_that_has_almost_all_probability_keeps_a_finite_loss(dataset: Dataset) -> None:
    config = configuration({"repeat_bias": True}, {"name": "unlikelihood", "of": "window"})
    prepared = prepare(dataset, config.split)
    model = model_of(config, prepared)
    cast(Any, model).repeat_bias.data.fill_(1.2)
    seen, targets = batch_of(config, prepared, 50)
    loss = LOSSES.get("unlikelihood")(config.loss)(model(seen.window, seen.users), targets, seen)
    loss.backward()
    step = native(config, model)
    torch.testing.assert_close(step.gradients_of(seen), loss.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.gradients["repeat_bias"], cast(Any, model).repeat_bias.grad, rtol=1e-3, atol=1e-4)


def test_the_gradient_does_not_depend_on_the_number_of_threads(dataset: Dataset) -> None:
    config = configuration({"dropout": 0.4}, {"name": "cross_entropy"})
    prepared = prepare(dataset, config.split)
    model, before = model_of(config, prepared), torch.get_num_threads()
    seen, _ = batch_of(config, prepared, 64)
    found: list[dict[str, Tensor]] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            step = native(config, model)
            torch.manual_seed(5)
            step.gradients_of(seen)
            found.append(copy.deepcopy(step.gradients))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for name, gradient in found[0].items():
            torch.testing.assert_close(other[name], gradient, rtol=1e-4, atol=1e-6)


def test_two_hundred_steps_without_dropout_are_pytorchs() -> None:
    dataset = dataset_of([[(start + step) % 50 for step in range(20)] for start in range(40)], num_items=50)
    config = configuration({"num_layers": 2}, {"name": "cross_entropy"}, batch_size=16)
    prepared = prepare(dataset, config.split)
    model = model_of(config, prepared)
    other = copy.deepcopy(model)
    optimizer = adam(model, 0.001)
    step = NativeStep(config, cast(Any, other), adam(other, 0.001))
    loss_of = LOSSES.get("cross_entropy")(config.loss)
    batches = WindowBatches(prepared, config, CPU)
    curve = list[tuple[float, float]]()
    for epoch in range(-(-200 // batches.steps)):
        for batch in batches.epoch(epoch, 0):
            seen, targets = batch.seen, batch.targets
            loss = loss_of(model(seen.window, seen.users), targets, seen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append((float(loss.detach()), float(step(seen))))
    expected, found = np.array(curve).T
    np.testing.assert_allclose(found[:200], expected[:200], atol=1e-4, rtol=0)
    assert expected[:10].mean() - expected[190:200].mean() > 0.5, "nothing was learned"


def test_dropout_has_the_gradient_of_its_own_loss(dataset: Dataset) -> None:
    """With the same seed the loss is one function of the weights: its slope along any direction is the gradient's."""
    config = configuration({"dropout": 0.3, "num_layers": 2}, {"name": "cross_entropy"})
    prepared = prepare(dataset, config.split)
    model = model_of(config, prepared)
    seen, _ = batch_of(config, prepared, 64)
    step = native(config, model)

    def loss() -> float:
        torch.manual_seed(11)
        return float(step.gradients_of(seen))

    loss()
    gradients = copy.deepcopy(step.gradients)
    for name, parameter in model.named_parameters():
        direction = gradients[name] / gradients[name].norm()
        sides = list[float]()
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 0.01 * direction
            sides.append(loss())
            with torch.no_grad():
                parameter -= sign * 0.01 * direction
        slope = (sides[0] - sides[1]) / 0.02
        assert slope == pytest.approx(float(gradients[name].norm()), rel=0.05, abs=2e-4), name


def test_dropout_is_that_of_pytorch_in_distribution(dataset: Dataset) -> None:
    """Mean and spread of a batch's loss over many draws, each within what chance leaves."""
    config = configuration({"dropout": 0.3}, {"name": "cross_entropy"})
    prepared = prepare(dataset, config.split)
    model = model_of(config, prepared)
    seen, targets = batch_of(config, prepared, 64)
    step, loss_of = native(config, model), LOSSES.get("cross_entropy")(config.loss)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = np.array([float(loss_of(model(seen.window, seen.users), targets, seen)) for _ in range(3000)])
    found = np.array([float(step.gradients_of(seen)) for _ in range(3000)])
    error = np.hypot(expected.std(), found.std()) / np.sqrt(3000)
    assert abs(expected.mean() - found.mean()) < 4.5 * error
    assert found.std() == pytest.approx(expected.std(), rel=0.1)


@pytest.mark.parametrize(
    ("model", "loss", "words"),
    [
        ({"width": 24}, {"name": "cross_entropy"}, "width = 24 is no multiple of 16"),
        ({"user_width": 8}, {"name": "cross_entropy"}, "user_width = 8 is no multiple of 16"),
        ({"hidden_sizes": [16, 16]}, {"name": "cross_entropy"}, "one hidden layer, not 2"),
        ({"width": 1024}, {"name": "cross_entropy"}, "width × window = 5120 is more than 4096"),
        ({"hidden_sizes": [8192]}, {"name": "cross_entropy"}, "hidden_sizes = 8192 is more than 4096"),
        ({}, {"name": "unlikelihood", "form": "item"}, "does not know the loss unlikelihood"),
    ],
)
def test_it_says_what_it_cannot_do(model: dict[str, Any], loss: dict[str, Any], words: str) -> None:
    assert words in str(why_not(configuration(model, loss)))


def test_a_batch_larger_than_said_is_refused(dataset: Dataset) -> None:
    config = configuration({}, {"name": "cross_entropy"}, batch_size=8)
    prepared = prepare(dataset, config.split)
    step = native(config, model_of(config, prepared))
    seen, _ = batch_of(configuration({}, {"name": "cross_entropy"}), prepared, 9)
    with pytest.raises(ValueError, match="at most 8"):
        step(seen)
