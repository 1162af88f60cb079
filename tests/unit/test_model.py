"""The article's model: its tensors, what it may see, its first weights, and strict loading."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recformer.checkpoint.load import load
from recformer.checkpoint.weights import build, infer_info, read_state
from recformer.config import parse, preset
from recformer.errors import CheckpointError
from recformer.model.movie_transformer import MovieTransformer, MovieTransformerOptions
from recformer.model.sizes import Sizes
from tests.training_helpers import small_config, small_model

ML1M = Sizes(num_tokens=3885, num_users=6040, window=5)
SMALL = Sizes(num_tokens=30, num_users=7, window=5)


def article_keys() -> Iterator[str]:
    yield "movie_transformer.positional_ids"
    yield "movie_transformer.token_embedding.weight"
    yield "movie_transformer.positional_embedding.weight"
    for layer in range(4):
        for part in ("layer_norm1", "attention.qkv", "attention.out", "layer_norm2", "mlp.fc1", "mlp.fc2"):
            for tensor in ("weight", "bias"):
                yield f"movie_transformer.layers.{layer}.{part}.{tensor}"
    yield "movie_transformer.layer_norm.weight"
    yield "movie_transformer.layer_norm.bias"
    yield "user_embedding.weight"
    yield "output_layer.fc_layers.0.weight"
    yield "output_layer.fc_layers.0.bias"
    yield "output_layer.fc_layers.2.weight"


@pytest.fixture(scope="module")
def article() -> MovieTransformer:
    torch.manual_seed(0)
    options = parse(preset("baseline")).model
    assert isinstance(options, MovieTransformerOptions)
    return MovieTransformer(options, ML1M)


def test_the_state_has_the_articles_57_keys_in_its_order(article: MovieTransformer) -> None:
    keys = list(article.state_dict())
    assert len(keys) == 57
    assert sorted(keys) == sorted(article_keys())


def test_the_state_has_435941_values(article: MovieTransformer) -> None:
    assert sum(tensor.numel() for tensor in article.state_dict().values()) == 435_941


def test_shapes_are_the_articles(article: MovieTransformer) -> None:
    state = article.state_dict()
    assert state["movie_transformer.positional_ids"].tolist() == [[0, 1, 2, 3, 4]]
    assert state["movie_transformer.layers.3.attention.qkv.weight"].shape == (96, 32)
    assert state["movie_transformer.layers.3.mlp.fc1.weight"].shape == (128, 32)
    assert state["output_layer.fc_layers.0.weight"].shape == (16, 5 * 64)
    assert state["output_layer.fc_layers.2.weight"].shape == (3885, 16)
    assert state["user_embedding.weight"].shape == (6040, 32)


def test_first_weights_of_tokens_users_and_head_are_uniform_within_a_tenth(article: MovieTransformer) -> None:
    state = article.state_dict()
    for key in (
        "movie_transformer.token_embedding.weight",
        "user_embedding.weight",
        "output_layer.fc_layers.0.weight",
        "output_layer.fc_layers.2.weight",
    ):
        weight = state[key]
        assert float(weight.abs().max()) <= 0.1
        assert float(weight.abs().max()) > 0.099
        assert abs(float(weight.mean())) < 0.003
        assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.03)


def test_first_bias_of_the_head_is_zero_and_norms_are_the_identity(article: MovieTransformer) -> None:
    state = article.state_dict()
    assert not state["output_layer.fc_layers.0.bias"].any()
    assert (state["movie_transformer.layer_norm.weight"] == 1).all()
    assert not state["movie_transformer.layer_norm.bias"].any()


def test_the_rest_is_pytorchs_default(article: MovieTransformer) -> None:
    state = article.state_dict()
    assert float(state["movie_transformer.positional_embedding.weight"].std()) == pytest.approx(1, abs=0.2)
    limit = 32**-0.5
    assert 0.1 < float(state["movie_transformer.layers.0.attention.qkv.weight"].abs().max()) <= limit


@pytest.mark.parametrize("changed", range(5))
def test_a_later_token_changes_no_earlier_position(changed: int) -> None:
    encoder = small_model(SMALL).movie_transformer
    tokens = torch.tensor([[3, 14, 15, 9, 2]])
    other = tokens.clone()
    other[0, changed] = 20
    with torch.no_grad():
        before, after = encoder(tokens), encoder(other)
    assert torch.equal(before[:, :changed], after[:, :changed])
    for position in range(changed, 5):
        assert not torch.allclose(before[:, position], after[:, position]), position


def test_user_and_every_token_of_the_window_matter() -> None:
    model = small_model(SMALL)
    tokens, users = torch.tensor([[3, 14, 15, 9, 2]]), torch.tensor([1])
    with torch.no_grad():
        logits = model(tokens, users)
        assert not torch.equal(logits, model(tokens, torch.tensor([2])))
        for position in range(5):
            other = tokens.clone()
            other[0, position] = 20
            assert not torch.equal(logits, model(other, users)), position


def test_positions_matter() -> None:
    model = small_model(SMALL)
    with torch.no_grad():
        forward = model(torch.tensor([[3, 14, 15, 9, 2]]), torch.tensor([1]))
        backward = model(torch.tensor([[2, 9, 15, 14, 3]]), torch.tensor([1]))
    assert not torch.allclose(forward, backward)


def test_one_row_gets_the_same_logits_alone_and_in_a_batch() -> None:
    model = small_model(SMALL)
    tokens, users = torch.randint(0, 30, (8, 5)), torch.randint(0, 7, (8,))
    with torch.no_grad():
        together = model(tokens, users)
        for row in range(8):
            torch.testing.assert_close(model(tokens[row : row + 1], users[row : row + 1])[0], together[row])


def test_dropout_is_on_while_training_and_off_otherwise() -> None:
    model = small_model(SMALL)
    tokens, users = torch.randint(0, 30, (4, 5)), torch.arange(4)
    with torch.no_grad():
        assert torch.equal(model(tokens, users), model(tokens, users))
        model.train()
        assert not torch.equal(model(tokens, users), model(tokens, users))


def state_of(model: torch.nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + key: value for key, value in model.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_weights_load_with_and_without_the_compilers_prefix(prefix: str, tmp_path: Path) -> None:
    model = small_model(SMALL, seed=3)
    path = tmp_path / "model.pth"
    torch.save(state_of(model, prefix), path)
    info = infer_info(path, read_state(path), {"num_heads": 2})
    loaded, _ = load(path, info)
    assert info.shape == SMALL
    tokens, users = torch.randint(0, 30, (4, 5)), torch.arange(4)
    with torch.no_grad():
        assert torch.equal(loaded(tokens, users), model(tokens, users))
    assert not loaded.training


def test_a_missing_key_and_a_key_too_many_are_named() -> None:
    model = small_model(SMALL)
    options = small_options()
    state = state_of(model)
    del state["user_embedding.weight"]
    with pytest.raises(CheckpointError, match=r"user_embedding\.weight"):
        build(options, SMALL, state, "the file")
    with pytest.raises(CheckpointError, match=r"one\.too\.many"):
        build(options, SMALL, state_of(model) | {"one.too.many": torch.zeros(1)}, "the file")


def test_a_tensor_of_another_shape_is_named_with_both_shapes() -> None:
    with pytest.raises(CheckpointError, match=r"token_embedding\.weight.*30.*31"):
        build(small_config().model, Sizes(31, 7, 5), state_of(small_model(SMALL)), "the file")


def small_options() -> MovieTransformerOptions:
    return MovieTransformerOptions(width=8, user_width=4, num_layers=1, num_heads=2, hidden_sizes=(8,))


def with_repeat_bias() -> MovieTransformer:
    torch.manual_seed(0)
    return MovieTransformer(small_options().model_copy(update={"repeat_bias": True}), SMALL).eval()


def test_a_repeat_bias_that_is_zero_changes_nothing_and_makes_one_key_more() -> None:
    torch.manual_seed(0)
    without, having = MovieTransformer(small_options(), SMALL).eval(), with_repeat_bias()
    tokens, users = torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([0])
    assert set(having.state_dict()) - set(without.state_dict()) == {"repeat_bias"}
    assert torch.equal(without(tokens, users), having(tokens, users))


def test_the_repeat_bias_moves_the_windows_own_tokens_alone_by_ten_times_itself() -> None:
    model = with_repeat_bias()
    tokens, users = torch.tensor([[1, 2, 3, 4, 4]]), torch.tensor([0])
    before = model(tokens, users).detach()
    with torch.no_grad():
        model.repeat_bias.copy_(torch.tensor([-0.1, 0.2, 0.0, -0.3, -0.1]))
    moved = (model(tokens, users) - before).detach()[0]
    expected = torch.zeros(30)
    expected[[1, 2, 4]] = torch.tensor([-1.0, 2.0, -4.0])  # a token that stands twice is moved by both
    assert torch.allclose(moved, expected, atol=1e-5)


def test_whether_there_is_a_repeat_bias_is_told_by_the_weights() -> None:
    for model, expected in ((with_repeat_bias(), True), (MovieTransformer(small_options(), SMALL), False)):
        options, _ = MovieTransformer.shape_from(model.state_dict())
        assert options["repeat_bias"] is expected
