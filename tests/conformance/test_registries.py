"""What every registered model, loss, split, metric, baseline and reader must do; a new one is tested unasked."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.config import Options, describe_limits, parse_section, trained_in_steps
from recformer.data.assemble import find_reader, read_dataset
from recformer.data.prepared import prepare
from recformer.errors import DataError, UsageError
from recformer.loss.seen import Seen
from recformer.model.sizes import Sizes
from recformer.registry import (
    BASELINES,
    CATALOGUE_METRICS,
    LIST_METRICS,
    LOSSES,
    METRICS,
    MODELS,
    READERS,
    SPLITS,
    Registry,
)
from tests.builders import SMALL, SMALL_MOVIES, dataset_in, parts_of, write_format
from tests.effort import examples
from tests.seen import seen_from

SIZES = Sizes(num_tokens=25, num_users=9, window=5)
OF_WINDOWS = [name for name in MODELS.names() if MODELS.get(name).TRAINED_ON == "windows"]
IN_STEPS = [name for name in MODELS.names() if trained_in_steps(name)]
WITH_OPTIONS: dict[str, Registry[Any]] = {"model": MODELS, "loss": LOSSES, "split": SPLITS}
REGISTRIES = [MODELS, LOSSES, SPLITS, METRICS, LIST_METRICS, CATALOGUE_METRICS, BASELINES, READERS]
COMPONENTS = [(kind, name) for kind, registry in WITH_OPTIONS.items() for name in registry.names()]


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Windows (B, T), users (B,), targets (B,)."""
    torch.manual_seed(1)
    return torch.randint(0, 25, (12, 5)), torch.randint(0, 9, (12,)), torch.randint(0, 25, (12,))


def seen_before(tokens: torch.Tensor) -> Seen:
    """Windows (B, T) as what was seen: three tokens of each were the user's before."""
    return seen_from([[*row[:3], *row] for row in tokens.tolist()], tokens.shape[1], num_items=23)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_registry_names_what_it_has_when_asked_for_what_it_has_not(registry: Registry[Any]) -> None:
    assert registry.names()
    with pytest.raises(UsageError, match=f"{registry.kind}: there is no 'nothing'.*{registry.names()[0]}"):
        registry.get("nothing")


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_name_is_registered_once(registry: Registry[Any]) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        registry.register(registry.names()[0])(object())


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_options_are_called_like_their_component_and_all_have_defaults(kind: str, name: str) -> None:
    options = WITH_OPTIONS[kind].get(name).Options
    assert issubclass(options, Options)
    assert options().name == name
    assert parse_section(kind, name) == options()


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_option_has_a_title_a_help_text_a_group_and_a_description_of_its_limits(kind: str, name: str) -> None:
    for field, info in WITH_OPTIONS[kind].get(name).Options.model_fields.items():
        if field == "name":
            continue
        assert info.title, field
        assert info.description, field
        assert cast("dict[str, Any]", info.json_schema_extra)["group"], field
        if info.annotation in (int, float, str, bool):
            assert describe_limits(info), field


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_options_refuse_unknown_keys_and_do_not_change(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="no_such_option"):
        parse_section(kind, {"name": name, "no_such_option": 1})
    with pytest.raises(ValueError, match="frozen"):
        parse_section(kind, name).name = "other"


@pytest.mark.parametrize("name", MODELS.names())
def test_a_model_gives_a_finite_logit_for_every_token(name: str) -> None:
    tokens, users, _ = batch()
    model = MODELS.get(name)(parse_section("model", name), SIZES).eval()
    with torch.no_grad():
        logits = model(tokens, users)
    assert logits.shape == (12, 25)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", MODELS.names())
def test_a_model_in_evaluation_mode_gives_the_same_twice(name: str) -> None:
    tokens, users, _ = batch()
    model = MODELS.get(name)(parse_section("model", name), SIZES).eval()
    with torch.no_grad():
        assert torch.equal(model(tokens, users), model(tokens, users))


@pytest.mark.parametrize("name", IN_STEPS)
def test_a_model_is_the_same_from_the_same_seed(name: str) -> None:
    states = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        states.append(MODELS.get(name)(parse_section("model", name), SIZES).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not all(torch.equal(value, states[2][key]) for key, value in states[0].items())


@pytest.mark.parametrize("loss", LOSSES.names())
@pytest.mark.parametrize("model", OF_WINDOWS)
def test_a_model_learns_a_batch_with_every_loss(model: str, loss: str) -> None:
    tokens, users, targets = batch()
    torch.manual_seed(0)
    network = MODELS.get(model)(parse_section("model", model), SIZES)
    function = LOSSES.get(loss)(parse_section("loss", loss))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        value = function(network(tokens, users), targets, seen_before(tokens))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", IN_STEPS)
def test_a_models_options_and_sizes_can_be_told_from_its_weights(name: str) -> None:
    options = parse_section("model", name)
    state = MODELS.get(name)(options, SIZES).state_dict()
    found, sizes = MODELS.get(name).shape_from(state)
    assert sizes in (SIZES, replace(SIZES, num_users=0))
    rebuilt = MODELS.get(name)(parse_section("model", found), sizes)
    rebuilt.load_state_dict(state)


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_is_one_finite_number_with_a_gradient(name: str) -> None:
    tokens, _, targets = batch()
    logits = torch.randn(12, 25, requires_grad=True)
    loss = LOSSES.get(name)(parse_section("loss", name))(logits, targets, seen_before(tokens))
    assert loss.shape == ()
    assert torch.isfinite(loss)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_and_its_gradient_are_finite_where_one_token_has_all_the_probability(name: str) -> None:
    tokens, _, targets = batch()
    loss = LOSSES.get(name)(parse_section("loss", name))
    for sure in (tokens[:, 4], targets):  # a repeat, the target
        logits = torch.zeros(12, 25).scatter(1, sure[:, None], 1000.0).requires_grad_()
        value = loss(logits, targets, seen_before(tokens))
        value.backward()
        assert torch.isfinite(value)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_is_less_where_the_target_scores_more(name: str) -> None:
    tokens, _, targets = batch()
    loss = LOSSES.get(name)(parse_section("loss", name))
    logits = torch.zeros(12, 25)
    better = logits.scatter(1, targets[:, None], 3.0)
    worse = logits.scatter(1, targets[:, None], -3.0)
    seen = seen_before(tokens)
    assert float(loss(better, targets, seen)) < float(loss(worse, targets, seen))


@pytest.mark.parametrize("name", SPLITS.names())
def test_a_split_gives_three_disjoint_parts_that_are_not_empty_and_the_same_each_time(
    name: str, tmp_path: Path
) -> None:
    dataset = dataset_in(tmp_path)
    dataset = replace(dataset, parts=parts_of(dataset.offsets))
    first, again = (prepare(dataset, parse_section("split", name)) for _ in range(2))
    parts = [first.split.cases(part).ends.tolist() for part in ("train", "validation", "test")]
    assert all(parts)
    ends = [end for part in parts for end in part]
    assert len(set(ends)) == len(ends)
    assert set(ends) <= set(first.histories.all_cases().ends.tolist())
    assert len(parts[0]) > len(parts[1])
    assert parts == [again.split.cases(part).ends.tolist() for part in ("train", "validation", "test")]
    assert first.split.item_set in ("items", "tokens")


@pytest.mark.parametrize("name", METRICS.names())
@settings(max_examples=examples(50))
@given(ranks=st.lists(st.integers(1, 5000), min_size=1, max_size=30), k=st.integers(1, 20))
def test_a_metric_is_in_zero_to_one_and_never_falls_as_k_grows(name: str, ranks: list[int], k: int) -> None:
    metric, array = METRICS.get(name), np.array(ranks, dtype=np.int32)
    values = metric(array, k)
    assert values.shape == array.shape
    assert values.dtype == np.float64
    assert ((values >= 0) & (values <= 1)).all()
    assert (metric(array, k + 1) >= values).all()
    assert (values[array > k] == 0).all()


@pytest.mark.parametrize("name", METRICS.names())
@pytest.mark.parametrize("k", [1, 3, 10, 20])
def test_a_metric_is_one_at_the_top_never_rises_with_the_rank_and_is_zero_beyond_k(name: str, k: int) -> None:
    values = METRICS.get(name)(np.arange(1, 40), k)
    assert values[0] == 1
    assert (np.diff(values) <= 0).all()
    assert (values[:k] > 0).all()
    assert not values[k:].any()


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_leaves_the_ranks_alone(name: str) -> None:
    ranks = np.array([3, 1, 7], dtype=np.int32)
    METRICS.get(name)(ranks, 5)
    assert ranks.tolist() == [3, 1, 7]


@pytest.mark.parametrize(
    ("name", "rank", "value"),
    [("mrr", 2, 1 / 2), ("mrr", 3, 1 / 3), ("map", 3, 1 / 3), ("hr", 3, 1), ("hr", 6, 0), ("ndcg", 3, 0.5)],
)
def test_a_metrics_worked_number_at_five(name: str, rank: int, value: float) -> None:
    assert METRICS.get(name)(np.array([rank]), 5)[0] == pytest.approx(value)


def test_mrr_of_rank_two_is_one_half() -> None:
    assert METRICS.get("mrr")(np.array([2]), 10).tolist() == [0.5]


@pytest.mark.parametrize("name", READERS.names())
def test_a_reader_knows_its_own_files_and_no_other_does(name: str, tmp_path: Path) -> None:
    folder = write_format(name, tmp_path, SMALL, SMALL_MOVIES)
    assert find_reader(folder)[0] == name
    reader = READERS.get(name)()
    assert reader.looks_for
    assert all(path.is_file() for path in reader.files(folder))


@pytest.mark.parametrize("name", READERS.names())
def test_a_reader_gives_the_same_interactions_as_every_other(name: str, tmp_path: Path) -> None:
    dataset = read_dataset(write_format(name, tmp_path / "here", SMALL, SMALL_MOVIES))
    assert dataset.reader == name
    assert dataset.user_ids.tolist() == [1, 2, 3]
    assert dataset.item_ids.tolist() == [10, 20, 30, 40]
    assert [dataset.history(user).tolist() for user in range(3)] == [[1, 0], [3, 1, 0], [3]]
    assert dataset.timestamps.tolist() == [978300010, 978300020, 978299990, 978300000, 978300000, 978300500]


@pytest.mark.parametrize("name", READERS.names())
def test_a_reader_refuses_a_folder_without_its_files(name: str, tmp_path: Path) -> None:
    reader = READERS.get(name)()
    assert not reader.detect(tmp_path)
    with pytest.raises(DataError):
        reader.files(tmp_path)
