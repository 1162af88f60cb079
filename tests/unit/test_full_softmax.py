"""Cross-entropy over all items in pieces: value and gradients are those of the plain formula, with either arithmetic."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from recformer.model import full_softmax as module
from recformer.model.full_softmax import TakenOut, full_softmax
from tests.effort import examples

WAYS = ["native", "torch"]


def plain(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, taken_out: TakenOut | None) -> Tensor:
    logits = hidden @ weight.T + bias
    for row in range(len(logits) if taken_out is not None else 0):
        assert taken_out is not None
        history = taken_out.tokens[taken_out.firsts[row] : taken_out.ends[row]]
        marks = torch.zeros(len(weight), dtype=torch.bool)
        marks[history[history < len(weight)]] = True
        marks[targets[row]] = False
        logits = torch.where(marks & (torch.arange(len(logits)) == row)[:, None], -math.inf, logits)
    return functional.cross_entropy(logits, targets)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(module, "_native", lambda: None)
    return request.param


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("items", [1, 2, 7, 16, 33, 1000])
def test_value_and_gradients_are_those_of_the_formula(items: int, masks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORES", 9 * items)  # pieces of nine rows, the last one smaller
    torch.manual_seed(items)
    inputs = torch.randn(50, 8), torch.randn(items, 8), torch.randn(items)
    targets, firsts = torch.randint(0, items, (50,)), torch.randint(0, 100, (50,))
    ends = firsts + torch.randint(0, 40, (50,))
    taken_out = TakenOut(torch.randint(0, items + 2, (140,)), firsts, ends) if masks else None
    found: list[list[Tensor]] = []
    for function in (full_softmax, plain):
        copies = [value.clone().requires_grad_() for value in inputs]
        loss = function(*copies, targets, taken_out)
        (3 * loss).backward()
        found.append([loss.detach(), *(value.grad for value in copies if value.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("way")
def test_what_is_taken_out_has_a_gradient_of_exactly_zero() -> None:
    weight = torch.randn(20, 4, requires_grad=True)
    taken_out = TakenOut(torch.arange(20), torch.tensor([0, 0]), torch.tensor([12, 12]))
    full_softmax(torch.randn(2, 4), weight, torch.zeros(20), torch.tensor([3, 15]), taken_out).backward()
    assert weight.grad is not None
    zero = weight.grad.abs().sum(1) == 0
    assert zero[[place for place in range(12) if place != 3]].all()
    assert not zero[[3, *range(12, 20)]].any()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_makes_the_loss_none(value: float) -> None:
    hidden = torch.full((1, 2), value)
    assert not math.isfinite(float(full_softmax(hidden, torch.ones(40, 2), torch.zeros(40), torch.tensor([1]))))


@settings(max_examples=examples(50))
@given(
    items=st.integers(1, 70),
    rows=st.integers(1, 40),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1000.0]),
    seed=st.integers(0, 99),
)
@example(items=20, rows=38, scale=1000.0, seed=38)  # where (log + highest) - score had no digits left
def test_both_ways_agree_however_far_scores_are_apart(items: int, rows: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    logits, targets = scale * torch.randn(rows, items), torch.randint(0, items, (rows,))
    starts = torch.randint(0, 30, (rows,))
    taken_out = TakenOut(torch.randint(0, items + 2, (60,)), starts, starts + torch.randint(0, 30, (rows,)))
    native = module._native()
    assert native is not None
    found: list[tuple[Tensor, Tensor]] = []
    for gradient in (native, module._gradient):
        piece, losses = logits.clone(), torch.empty(rows)
        gradient(piece, targets, taken_out, losses)
        found.append((piece, losses))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6)
