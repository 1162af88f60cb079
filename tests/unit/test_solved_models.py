"""Ridge and counts against a few lines of NumPy, and what both must do."""

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import load
from recformer.checkpoint.weights import write_best
from recformer.config import parse, preset
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.errors import CheckpointError
from recformer.model import ridge
from recformer.model.sizes import Sizes
from recformer.registry import MODELS
from tests.builders import dataset_of

LATEST = 4


def histories(num_items: int = 12) -> list[list[int]]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, num_items, size=generator.integers(3, 12)).tolist() for _ in range(30)]


def data() -> Dataset:
    return dataset_of(histories(), 12)


def solved(name: str, dataset: Dataset, window: int = LATEST, **options: Any) -> tuple[Any, Prepared]:
    config = parse({"name": "x", "model": {"name": name, **options}, "window": window})
    prepared = prepare(dataset, config.split)
    model = MODELS.get(name)(config.model, Sizes(prepared.histories.num_tokens, 0, window)).eval()
    model.fit(prepared)
    return model, prepared


def scores_of(model: Any, *users: list[int]) -> NDArray[np.float32]:
    sos, length = model.num_items, max(map(len, users)) + 1
    tokens = torch.tensor([([sos] * length + user)[-length:] for user in users])
    with torch.no_grad():
        return model(tokens, torch.zeros(len(users), dtype=torch.int64)).numpy()


def training_parts(dataset: Dataset) -> list[list[int]]:
    """What leave_last_out trains on of each user."""
    return [history[:-2] for history in (dataset.history(user).tolist() for user in range(dataset.num_users))]


def test_ridge_is_the_regression_of_the_next_item_on_the_latest_ones() -> None:
    dataset, decay, strength = data(), 0.7, 3.0
    model, _ = solved("ridge", dataset, decay=decay, regularisation=strength)
    x, y = [], []
    for history in training_parts(dataset):
        for place in range(len(history)):  # a first item is trained too, from nothing
            row = np.zeros(12)
            for age, item in enumerate(history[max(place - LATEST, 0) : place][::-1]):
                row[item] += decay**age
            x.append(row)
            y.append(np.eye(12)[history[place]])
    x, y = np.array(x), np.array(y)
    weights = np.linalg.solve(x.T @ x + strength * np.eye(12), x.T @ y)
    row = np.zeros(12)
    row[[5, 2, 7]] += [1, decay, decay**2]
    found = np.sinh(scores_of(model, [9, 7, 2, 5])[0, :12]) / 6
    row[9] += decay**3
    np.testing.assert_allclose(found, row @ weights, rtol=1e-3, atol=1e-5)


def test_above_its_largest_catalogue_ridge_takes_each_item_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "LARGEST", 5)
    dataset = data()
    model, _ = solved("ridge", dataset, decay=1.0, regularisation=2.0, window=1)
    parts = training_parts(dataset)
    pairs = np.zeros((12, 12))
    for history in parts:
        for one, other in itertools.pairwise(history):
            pairs[one, other] += 1
    expected = pairs / (2.0 + pairs.sum(1, keepdims=True))
    np.testing.assert_allclose(np.sinh(scores_of(model, [3])[0, :12]) / 6, expected[3], atol=1e-5)


def test_counts_sum_what_followed_the_latest_items() -> None:
    dataset, options = data(), {"reach": 3, "decay": 0.8, "distance": 1.0, "before": 0.5, "after": 0.25}
    model, _ = solved("counts", dataset, **options)
    parts = training_parts(dataset)
    follows, often = np.zeros((12, 12)), np.zeros(12)
    for history in parts:
        for place, item in enumerate(history):
            often[item] += 1
            for distance in range(1, 4):
                if place + distance < len(history):
                    follows[item, history[place + distance]] += 1 / distance
    often = np.maximum(often, 1)
    votes = follows / often[:, None] ** 0.5 / often**0.25
    expected = votes[5] + 0.8 * votes[2] + 0.64 * votes[7] + 0.8**3 * votes[9]
    np.testing.assert_allclose(np.exp(scores_of(model, [1, 9, 7, 2, 5])[0, :12]), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_held_out_items_change_nothing(name: str) -> None:
    changed = [[*history[:-2], (history[-2] + 1) % 12, (history[-1] + 5) % 12] for history in histories()]
    before, after = (solved(name, dataset_of(each, 12))[0] for each in (histories(), changed))
    user = [4, 8, 1]
    assert np.array_equal(scores_of(before, user), scores_of(after, user))


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_a_refit_knows_the_validation_items(name: str) -> None:
    config = parse({"name": "x", "model": name, "window": LATEST})
    scores = []
    for part in ("train", "train_and_validation"):
        prepared = prepare(data(), config.split, part)
        model = MODELS.get(name)(config.model, Sizes(14, 0, LATEST)).eval()
        model.fit(prepared)
        scores.append(scores_of(model, [4, 8, 1]))
    assert not np.allclose(*scores)


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_the_order_of_users_and_the_names_of_items_do_not_matter(name: str) -> None:
    renamed = np.random.default_rng(1).permutation(12)
    before, _ = solved(name, dataset_of(histories(), 12))
    after, _ = solved(name, dataset_of([renamed[history].tolist() for history in histories()[::-1]], 12))
    user = [4, 8, 1]
    expected = scores_of(before, user)[0, :12]
    found = scores_of(after, renamed[user].tolist())[0, :12][renamed]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 12, 2**31 - 1])
def test_a_file_that_names_items_there_are_not_is_refused(wrong: int, tmp_path: Path) -> None:
    model, _ = solved("counts", data())
    path = tmp_path / "run"
    info = CheckpointInfo("run", model.options.model_dump(mode="json"), asdict(model.sizes))
    write_best(path, model, info)
    assert load(path / "best.safetensors")[0].state_dict().keys() == model.state_dict().keys()
    model.items[3, 2] = wrong
    write_best(path, model, info)
    with pytest.raises(CheckpointError, match="names items that there are not, in items"):
        load(path / "best.safetensors")


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_only_the_settings_that_mean_something_to_it_are_kept(name: str) -> None:
    config = parse({"name": "x", "model": name, "learning_rate": 0.7, "loss": "masked_softmax", "window": 9})
    plain = parse({"name": "x", "model": name, "window": 9})
    assert config == plain and config.window == 9 and not config.in_steps
    assert parse(preset(name)).window == 15


def test_ten_thousand_items_of_a_history_are_read_to_the_last_few() -> None:
    model, _ = solved("counts", data())
    long = [1, 2, 3, 4] * 2500
    np.testing.assert_array_equal(scores_of(model, long), scores_of(model, long[-LATEST:]))


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_of_an_items_votes_the_strongest_are_kept(name: str) -> None:
    everything, _ = solved(name, data())
    few, _ = solved(name, data(), votes=3)
    assert few.items.shape == (14, 3)
    for item in range(12):
        all_votes = everything.weights[item].abs().sort(descending=True).values
        np.testing.assert_allclose(few.weights[item].abs().sort(descending=True).values, all_votes[:3])
