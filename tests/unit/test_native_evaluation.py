"""Scores of the native library against the model's own, over every kind of shape."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recformer.config import parse_section
from recformer.data.histories import histories_of
from recformer.data.prepared import prepare
from recformer.errors import EvaluationError
from recformer.evaluation.native_ranks import NativeModel, evaluation_library, native_model, native_ranks
from recformer.evaluation.ranker import rank_cases
from recformer.model.movie_transformer import MovieTransformer, MovieTransformerOptions
from recformer.model.native import build
from recformer.model.sizes import Sizes
from tests.both_rankings import rank_batch as rank_both
from tests.builders import dataset_of
from tests.narrower import NARROWER, built_for
from tests.training_helpers import sizes_for, small_model

CPU = torch.device("cpu")


def drawn(options: MovieTransformerOptions, sizes: Sizes, seed: int) -> MovieTransformer:
    """A model whose every weight, those that begin as zeros or ones too, is drawn."""
    torch.manual_seed(seed)
    model = MovieTransformer(options, sizes).eval()
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.6, 0.6)
    return model


@st.composite
def shapes(draw: st.DrawFn) -> tuple[MovieTransformerOptions, Sizes]:
    heads = draw(st.integers(1, 4))
    options = MovieTransformerOptions(
        width=heads * draw(st.integers(1, 9)),
        user_width=draw(st.integers(1, 20)),
        num_layers=draw(st.integers(1, 3)),
        num_heads=heads,
        hidden_sizes=tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        repeat_bias=draw(st.booleans()),
    )
    return options, Sizes(draw(st.integers(3, 70)), draw(st.integers(1, 9)), draw(st.integers(1, 12)))


@given(shape=shapes(), rows=st.integers(1, 40), seed=st.integers(0, 1000))
def test_scores_are_the_models(shape: tuple[MovieTransformerOptions, Sizes], rows: int, seed: int) -> None:
    model = drawn(*shape, seed)
    draw, sizes = np.random.default_rng(seed), shape[1]
    inputs = draw.integers(0, sizes.num_tokens, (rows, sizes.window), dtype=np.int32)
    users = draw.integers(0, sizes.num_users, rows, dtype=np.int32)
    native = native_model(model)
    assert native is not None
    with torch.no_grad():
        expected = model.double()(torch.from_numpy(inputs), torch.from_numpy(users))
    torch.testing.assert_close(native.scores(inputs, users).double(), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("most_lanes", NARROWER)
def test_narrower_vectors_give_the_same_ranks(most_lanes: int) -> None:
    dataset = dataset_of([np.random.default_rng(user).permutation(400)[:30].tolist() for user in range(9)], 400)
    data = prepare(dataset, parse_section("split", "random_windows"))
    model = drawn(MovieTransformerOptions(width=20, num_heads=2), sizes_for(dataset), 0)
    cases = data.histories.all_cases()[:200]
    inputs = data.histories.inputs(cases, 5)
    with torch.no_grad():
        scores = model(torch.from_numpy(inputs).long(), torch.from_numpy(cases.users).long())
    with built_for(most_lanes):
        rank_both(scores, data.histories, cases, "tokens")  # by PyTorch, too
        native = native_of(model)
        found = native.scores(inputs, cases.users)
    torch.testing.assert_close(found, scores, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("window", "recent"), [(5, 5), (5, 3), (12, 5), (40, 5), (5, 50), (1, 1)])
@pytest.mark.parametrize("split", ["random_windows", "leave_last_out"])
def test_ranks_of_a_model_are_those_of_its_scores(split: str, window: int, recent: int) -> None:
    """Also of windows that SOS fills, and of what is longer than the history."""
    draw = np.random.default_rng(3)
    dataset = dataset_of([draw.permutation(90)[:n].tolist() for n in (30, 3, 28, 4, 5, 30, 6, 29)], 90)
    data = prepare(dataset, parse_section("split", split))
    histories = data.histories
    model = drawn(MovieTransformerOptions(width=16, num_heads=2), sizes_for(dataset, window), 0)
    cases = histories.all_cases() if split == "random_windows" else data.split.test
    native = native_model(model)
    assert native is not None
    scores = native.scores(histories.inputs(cases, window), cases.users)
    expected = rank_both(scores, histories, cases, data.split.item_set, recent)
    found = rank_cases(model, data, cases, window, CPU, recent=recent)
    assert vars(found).keys() == vars(expected).keys()
    for name, values in vars(found).items():
        np.testing.assert_array_equal(values, vars(expected)[name], err_msg=name)


@pytest.mark.parametrize("window", [5, 12, 31])
@pytest.mark.parametrize("repeat_bias", [False, True])
def test_scores_of_padded_windows_are_the_models(window: int, repeat_bias: bool) -> None:
    """SOS in front of what a user had, down to nothing but SOS."""
    dataset = dataset_of(
        [np.random.default_rng(user).permutation(60)[:n].tolist() for user, n in enumerate(range(9))], 60
    )
    histories = histories_of(dataset)
    cases = histories.all_cases()
    inputs = histories.inputs(cases, window)
    assert (inputs[:, 0] == histories.sos).all() or window == 5
    assert (inputs == histories.sos).all(axis=1).any()
    options = MovieTransformerOptions(width=16, num_heads=2, num_layers=2, repeat_bias=repeat_bias)
    model = drawn(options, sizes_for(dataset, window), 1)
    found = native_of(model).scores(inputs, cases.users).double()
    with torch.no_grad():
        expected = model.double()(torch.from_numpy(inputs).long(), torch.from_numpy(cases.users).long())
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4)


def test_weights_changed_after_an_evaluation_count_in_the_next() -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4, 5, 6, 7]], 12)
    model = small_model(sizes_for(dataset))
    inputs, users = np.array([[0, 1, 2, 3, 4]], dtype=np.int32), np.array([0], dtype=np.int32)
    before = native_of(model).scores(inputs, users)
    with torch.no_grad():
        model.user_embedding.weight += 1
    assert not torch.equal(native_of(model).scores(inputs, users), before)


def native_of(model: nn.Module) -> NativeModel:
    found = native_model(model)
    assert found is not None
    return found


def test_damaged_weights_are_an_error() -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4, 5, 6, 7]], 12)
    data = prepare(dataset, parse_section("split", "random_windows"))
    model = small_model(sizes_for(dataset))
    with torch.no_grad():
        model.user_embedding.weight[0, 0] = float("nan")
    with pytest.raises(EvaluationError, match="not numbers"):
        rank_cases(model, data, data.histories.all_cases(), 5, CPU)


@pytest.mark.parametrize(("token", "user"), [(14, 0), (-1, 0), (0, 1), (0, -1)])
def test_what_a_model_has_no_weights_of_is_an_error_as_in_pytorch(token: int, user: int) -> None:
    model = small_model(sizes_for(dataset_of([[0, 1, 2, 3, 4, 5, 6, 7]], 12)))
    inputs, users = np.array([[0, 1, 2, 3, token]], dtype=np.int32), np.array([user], dtype=np.int32)
    with pytest.raises(IndexError):
        model(torch.from_numpy(inputs), torch.from_numpy(users))
    with pytest.raises(IndexError, match="the model knows"):
        native_of(model).scores(inputs, users)


def test_other_models_and_other_scores_are_left_to_pytorch() -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4, 5, 6, 7]], 12)
    histories = histories_of(dataset)
    cases, model = histories.all_cases()[:2], small_model(sizes_for(dataset))

    class Other(MovieTransformer):
        pass

    assert native_model(nn.Linear(2, 2)) is None
    assert native_model(Other(MovieTransformerOptions(), sizes_for(dataset))) is None
    assert native_model(model.double()) is None
    scores = torch.zeros(2, histories.num_tokens)
    assert native_ranks(scores, histories, cases, 12, 5) is not None
    for other in (scores.double(), scores[:1], scores[:, :9], scores.t().contiguous().t()):
        assert native_ranks(other, histories, cases, 12, 5) is None


def test_without_a_compiler_pytorch_evaluates(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4, 5, 6, 7]], 12)
    data = prepare(dataset, parse_section("split", "random_windows"))
    model, cases = small_model(sizes_for(dataset)), data.histories.all_cases()
    expected = rank_cases(model, data, cases, 5, CPU)
    evaluation_library.cache_clear()
    monkeypatch.setattr(build, "COMPILERS", ())
    monkeypatch.delenv("CXX", raising=False)
    try:
        found = rank_cases(model, data, cases, 5, CPU)
    finally:
        evaluation_library.cache_clear()
    np.testing.assert_array_equal(found.rank_history, expected.rank_history)
    np.testing.assert_array_equal(found.top_none, expected.top_none)
