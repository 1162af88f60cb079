"""What every model's scores depend on, and what they do not."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recformer.config import parse, trained_in_steps
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases
from recformer.data.prepared import Prepared, prepare
from recformer.evaluation.ranker import score
from recformer.registry import MODELS
from recformer.training.initialisation import new_model
from tests.builders import dataset_of

ITEMS, WINDOW = 15, 6
SETTINGS: dict[str, dict[str, Any]] = {
    "movie_transformer": {"initialisation": "random"},
    "sasrec": {"loss": "masked_softmax"},
}
ALONE = [
    name for name in MODELS.names() if name != "blend"
]  # a blend's parts are given to it: tests/jobs/test_blend.py
OF_ANY_LENGTH = [name for name in ALONE if MODELS.get(name).TRAINED_ON != "windows"]


def dataset(num_users: int = 25) -> Dataset:
    generator = np.random.default_rng(5)
    return dataset_of(
        [generator.integers(0, ITEMS, size=generator.integers(3, 14)).tolist() for _ in range(num_users)], ITEMS
    )


def model_of(name: str, prepared: Prepared) -> Any:
    """One that knows something: drawn at random with large weights, or solved."""
    model: Any = new_model(parse({"name": "x", "model": name, "window": WINDOW, **SETTINGS.get(name, {})}), prepared)
    if not trained_in_steps(name):
        model.fit(prepared)
        return model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    return model.eval()


def scores(model: Any, prepared: Prepared, cases: Cases, window: int = WINDOW) -> NDArray[np.float32]:
    parts = [logits.numpy() for _, _, logits in score(model, prepared.histories, cases, window, torch.device("cpu"))]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(dataset(), parse({"name": "x"}).split)


@pytest.mark.parametrize("name", ALONE)
def test_scores_do_not_depend_on_the_batch_or_on_the_order_of_cases(name: str, prepared: Prepared) -> None:
    model, cases = model_of(name, prepared), prepared.split.test
    together = scores(model, prepared, cases)
    alone = np.concatenate([scores(model, prepared, cases[row : row + 1]) for row in range(len(cases))])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)
    backwards = scores(model, prepared, cases[np.arange(len(cases))[::-1]])
    np.testing.assert_allclose(backwards[::-1], together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ALONE)
def test_scores_do_not_depend_on_what_comes_after(name: str) -> None:
    longer = dataset()
    histories = [longer.history(user).tolist() for user in range(longer.num_users)]
    changed = dataset_of([[*history[:-1], (history[-1] + 1) % ITEMS] for history in histories], ITEMS)
    found = []
    for data in (longer, changed):
        prepared = prepare(data, parse({"name": "x"}).split)
        found.append(scores(model_of(name, prepared), prepared, prepared.split.test))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", OF_ANY_LENGTH)
def test_scores_do_not_depend_on_how_far_a_history_is_filled(name: str, prepared: Prepared) -> None:
    model = model_of(name, prepared)
    short = prepared.split.validation
    short = short[prepared.histories.lengths(short) < WINDOW]
    assert len(short)
    np.testing.assert_allclose(scores(model, prepared, short, 40), scores(model, prepared, short), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("length", [0, 1, 10_000])
def test_a_history_of_any_length_has_finite_scores(name: str, length: int, prepared: Prepared) -> None:
    model = model_of(name, prepared)
    items = (
        (np.arange(length) % ITEMS)[-WINDOW:] if MODELS.get(name).TRAINED_ON == "windows" else np.arange(length) % ITEMS
    )
    tokens = torch.tensor([[ITEMS] * max(WINDOW - len(items), 1) + items.tolist()])
    with torch.no_grad():
        found = model(
            tokens[:, -WINDOW:] if MODELS.get(name).TRAINED_ON == "windows" else tokens,
            torch.zeros(1, dtype=torch.int64),
        )
    assert found.shape == (1, ITEMS + 2) and torch.isfinite(found).all()


@pytest.mark.parametrize("name", [name for name in ALONE if trained_in_steps(name)])
def test_gradients_are_those_of_finite_differences(name: str, prepared: Prepared) -> None:
    model = model_of(name, prepared).double()
    cases = prepared.split.validation[:5]
    tokens, users = torch.from_numpy(prepared.histories.inputs(cases, WINDOW)), torch.from_numpy(cases.users)
    targets = torch.from_numpy(prepared.histories.targets(cases)).long()

    def loss() -> torch.Tensor:
        items = model(tokens, users)[:, :ITEMS]
        return torch.nn.functional.cross_entropy(items, targets)

    loss().backward()
    generator, step = np.random.default_rng(0), 1e-5
    for weight in model.parameters():
        if weight.grad is None:
            continue
        for place in generator.integers(0, weight.numel(), size=3):
            flat = weight.data.view(-1)
            kept = flat[place].item()
            values = []
            for value in (kept + step, kept - step):
                flat[place] = value
                with torch.no_grad():
                    values.append(float(loss()))
            flat[place] = kept
            expected = (values[0] - values[1]) / (2 * step)
            assert weight.grad.view(-1)[place].item() == pytest.approx(expected, rel=1e-3, abs=1e-7)
