"""What SASRec's scores depend on: the history alone, in its order; not batch, filling, users or the names of items."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recformer.config import parse, parse_section
from recformer.data.histories import Histories, histories_of
from recformer.errors import ConfigError
from recformer.model.sasrec import SasRec, SasRecOptions
from recformer.model.sizes import Sizes
from tests.builders import dataset_of

ITEMS, LONGEST = 30, 8
VARIANTS: list[dict[str, Any]] = [
    {},
    {"positions": "rotary"},
    {"positions": "relative", "num_heads": 1},
    {"scores": "cosine"},
    {"feed_forward": "swiglu", "gated_attention": True},
    {"tied_output": True, "num_layers": 1},
]


@pytest.fixture(params=VARIANTS, ids=str)
def model(request: pytest.FixtureRequest) -> SasRec:
    torch.manual_seed(0)
    options = SasRecOptions(**({"width": 16, "dropout": 0.5} | request.param))
    made = SasRec(options, Sizes(ITEMS + 2, 0, LONGEST)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.3)
    return made


def scores_of(model: SasRec, *histories: list[int], filled_to: int = LONGEST) -> Tensor:
    with torch.no_grad():
        return model(inputs_of(*histories, length=filled_to), torch.zeros(len(histories), dtype=torch.int64))


def inputs_of(*histories: list[int], length: int) -> Tensor:
    rows = [([ITEMS] * (length + 1) + history)[-length:] for history in histories]
    return torch.tensor(rows)


HISTORIES = [[], [3], [4, 4, 4], [*range(7)], [*range(8)], [*range(20, 0, -1)]]


def test_scores_do_not_depend_on_the_batch_its_order_or_the_filling(model: SasRec) -> None:
    together = scores_of(model, *HISTORIES)
    for history, row in zip(HISTORIES, together, strict=True):
        torch.testing.assert_close(scores_of(model, history)[0], row, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(scores_of(model, history, filled_to=50)[0], row, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores_of(model, *HISTORIES[::-1]), together.flip(0), rtol=1e-5, atol=1e-5)


def test_it_reads_the_latest_items_alone_as_many_as_it_has_places_for(model: SasRec) -> None:
    long = [*range(20)]
    assert torch.equal(scores_of(model, long), scores_of(model, long[-LONGEST:]))
    assert torch.equal(scores_of(model, long * 500), scores_of(model, long))
    assert not torch.equal(scores_of(model, long[::-1]), scores_of(model, long))


def test_what_is_trained_at_a_position_is_what_is_scored_there(model: SasRec) -> None:
    sequence = torch.tensor([[ITEMS, 5, 9, 2, 7]])
    with torch.no_grad():
        hidden = model.hidden(sequence)[0]  # (T, D)
        trained = hidden @ model.output_weight.T + model.bias
    for place in range(5):
        scored = scores_of(model, sequence[0, 1 : place + 1].tolist())[0, :ITEMS]
        torch.testing.assert_close(trained[place], scored, rtol=1e-5, atol=1e-5)


def test_other_names_of_items_give_the_same_scores_under_other_names(model: SasRec) -> None:
    renamed = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(3))
    before = scores_of(model, [4, 8, 15])[0]
    with torch.no_grad():
        for table in (model.items.weight, model.output, model.bias):
            if table is not None:
                table[renamed] = table[:ITEMS].clone()
    after = scores_of(model, renamed[[4, 8, 15]].tolist())[0]
    torch.testing.assert_close(after[renamed], before[:ITEMS], rtol=1e-5, atol=1e-5)


def test_start_and_end_come_last(model: SasRec) -> None:
    scores = scores_of(model, *HISTORIES)
    assert (scores[:, ITEMS:].max(1).values < scores[:, :ITEMS].min(1).values).all()


def test_the_inputs_of_cases_are_what_it_expects(model: SasRec) -> None:
    histories: Histories = histories_of(dataset_of([[5, 9, 2], [7]], ITEMS))
    cases = histories.all_cases()
    tokens = torch.from_numpy(histories.inputs(cases, LONGEST).astype(np.int64))
    found = model(tokens, torch.zeros(len(cases), dtype=torch.int64))
    expected = scores_of(model, [], [5], [5, 9], [5, 9, 2], [], [7])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"name": "sasrec", "width": 10, "num_heads": 4}}, "num_heads = 4 does not divide width = 10"),
        (
            {"model": {"name": "sasrec", "width": 6, "num_heads": 2, "positions": "rotary"}},
            "an even width of each head",
        ),
        ({"loss": "unlikelihood"}, "cross_entropy, and with masked_softmax of the history"),
        ({"loss": {"name": "masked_softmax", "of": "window"}}, "masked_softmax of the history"),
        ({"weight_decay": 0.1}, "adam has no weight decay"),
        ({"model": {"name": "sasrec", "tied_output": True}, "initialisation": "co_occurrence"}, "an output table"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({"name": "x", "model": "sasrec"} | changes)


def test_muon_is_for_models_of_whole_histories() -> None:
    assert parse({"model": "sasrec", "optimizer": "muon", "weight_decay": 0.1}).optimizer == "muon"
    with pytest.raises(ConfigError, match="muon is for models of whole histories"):
        parse({"optimizer": "muon"})
    assert parse_section("model", "sasrec").name == "sasrec"
