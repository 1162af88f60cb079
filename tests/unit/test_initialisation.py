"""What a model begins with: counts of the training part, made factors, made weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recformer.config import TrainConfig
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.errors import ConfigError, UsageError
from recformer.model.factors import Factors
from recformer.training import co_occurrence
from recformer.training.changes import check_resume
from recformer.training.co_occurrence import SMOOTHING, factors_of, recency
from recformer.training.initialisation import new_model
from recformer.training.loop import validate
from recformer.training.window_batches import training_cases
from tests.builders import dataset_of
from tests.training_helpers import SMALL_MODEL, small_config

CPU = torch.device("cpu")
NUM_ITEMS = 40


def chains(seed: int = 0, last: int | None = None) -> Dataset:
    """60 users who go on from an item to the next one of the catalogue, or, one time in five, to any.

    `last` replaces each user's last two items, which are held out.
    """
    random = np.random.default_rng(seed)
    histories: list[list[int]] = []
    for _ in range(60):
        history = [int(random.integers(NUM_ITEMS))]
        while len(history) < 25:
            jump = random.random() < 0.2
            history.append(int(random.integers(NUM_ITEMS)) if jump else (history[-1] + 1) % NUM_ITEMS)
        histories.append(history if last is None else [*history[:-2], last, last])
    return dataset_of(histories, num_items=NUM_ITEMS)


def config_of(**changes: Any) -> TrainConfig:
    return small_config(**({"initialisation": "co_occurrence"} | changes))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(chains(), config_of().split)


def factors(prepared: Prepared, rank: int, **changes: Any) -> Factors:
    config = config_of(**changes)
    return factors_of(prepared.histories, training_cases(config, prepared), config.window, rank)


def test_the_last_token_counts_one_the_one_before_four_fifths() -> None:
    np.testing.assert_allclose(recency(5), [0.5, 4 / 7, 2 / 3, 0.8, 1], rtol=1e-6)


@pytest.mark.parametrize(("short", "window"), [("skip", 5), ("pad", 5), ("pad", 12)])
def test_factors_of_full_rank_multiply_to_the_logarithm_of_the_lift(
    prepared: Prepared, short: str, window: int
) -> None:
    torch.manual_seed(0)
    found = factors(prepared, 60, short_histories=short, window=window)
    histories, size = prepared.histories, prepared.histories.num_tokens
    counts = np.zeros((size, size))
    for user, end in zip(prepared.split.train.users, prepared.split.train.ends, strict=True):
        before = histories.tokens[histories.user_starts[user] : end][-window:]  # SOS once, never as a filling
        if short == "skip" and len(before) < window:
            continue
        for token, weight in zip(before, recency(window)[-len(before) :], strict=True):
            counts[token, histories.tokens[end]] += weight
    expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    lift = np.log((counts + SMOOTHING) / (expected + SMOOTHING))
    np.testing.assert_allclose((found.before @ found.after.T).numpy(), lift, atol=1e-3)
    assert found.before.shape == (size, 60)  # more columns than tokens: the rest is zero
    assert not found.before[:, size:].any()


def test_a_user_is_the_mean_of_what_they_went_on_to(prepared: Prepared) -> None:
    found = factors(prepared, 8)
    cases = training_cases(config_of(), prepared)
    mean = found.before[prepared.histories.targets(cases[cases.users == 7])].mean(0)
    torch.testing.assert_close(found.users[7], mean)


def test_popularity_is_counted_from_one(prepared: Prepared) -> None:
    popularity = factors(prepared, 8).log_popularity
    targets = prepared.histories.targets(training_cases(config_of(), prepared))
    assert popularity[3] == pytest.approx(math.log(1 + int((targets == 3).sum())))
    assert popularity[prepared.histories.sos] == 0


def test_nothing_that_is_held_out_is_counted() -> None:
    found = []
    for last in (1, 2):
        torch.manual_seed(0)
        found.append(factors(prepare(chains(last=last), config_of().split), 8))
    for name in ("before", "after", "users", "log_popularity"):
        assert torch.equal(getattr(found[0], name), getattr(found[1], name)), name


def test_rare_tokens_begin_as_unknown(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(co_occurrence, "FREQUENT", 10)
    found = factors(prepared, 8)
    known = found.before.abs().sum(1) > 0
    assert int(known.sum()) == 10
    assert found.log_popularity[known].min() >= found.log_popularity[~known].max()


def test_a_model_that_begins_with_factors_is_good_before_any_training(prepared: Prepared) -> None:
    figures = {}
    for initialisation in ("random", "co_occurrence"):
        config = config_of(initialisation=initialisation)
        validated = validate(new_model(config, prepared), prepared, config, CPU)
        assert validated is not None
        figures[initialisation] = validated[1]["metric/ndcg@10"]
    assert figures["random"] < 0.25 < 0.5 < figures["co_occurrence"]


def test_a_model_begins_the_same_from_the_same_seed_and_elsewhere_from_another(prepared: Prepared) -> None:
    states = [new_model(config_of(seed=seed), prepared).state_dict() for seed in (1, 1, 2)]
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    head = "output_layer.fc_layers.2.weight"
    assert not torch.equal(states[0][head], states[2][head])


@pytest.mark.parametrize("shape", [{"hidden_sizes": [1]}, {"hidden_sizes": [64]}, {"user_width": 48}, {"width": 48}])
def test_every_shape_can_begin_so(prepared: Prepared, shape: dict[str, Any]) -> None:
    config = config_of(model=SMALL_MODEL | shape)
    model = new_model(config, prepared)
    assert model.training
    cases = prepared.split.validation
    tokens = prepared.histories.inputs(cases, config.window)
    logits = model.eval()(torch.from_numpy(tokens), torch.from_numpy(cases.users))
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.1


def test_a_head_of_two_layers_cannot_and_the_fault_is_at_the_field() -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(model=SMALL_MODEL | {"hidden_sizes": [16, 16]})
    assert caught.value.faults == [
        "initialisation = 'co_occurrence': it needs one hidden layer in the head, not 2 (model.hidden_sizes); "
        "change that, or choose random"
    ]


def test_a_faulty_model_is_told_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(model=SMALL_MODEL | {"num_heads": 3})
    assert len(caught.value.faults) == 1


def test_it_cannot_be_changed_on_resume() -> None:
    with pytest.raises(UsageError, match="initialisation cannot be changed on resume"):
        check_resume("run", Path("run.yaml"), config_of(), config_of(initialisation="random"))
