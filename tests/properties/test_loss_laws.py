"""Laws of the losses with a gradient against repeats, for any logits, histories and targets."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.loss.seen import Seen, Span
from recformer.registry import LOSSES
from tests.effort import examples
from tests.seen import seen_from

ITEMS, TOKENS, WINDOW = 6, 8, 3
SPANS: list[Span] = ["window", "history"]
PENALTIES: list[dict[str, Any]] = [
    {"name": "soft_penalty"},
    {"name": "unlikelihood", "form": "mass"},
    {"name": "unlikelihood", "form": "item"},
]


@dataclass
class Case:
    """One batch."""

    logits: torch.Tensor
    targets: torch.Tensor
    seen: Seen


@st.composite
def cases(draw: st.DrawFn, largest: float = 30) -> Case:
    size = draw(st.integers(1, 4))
    logit = st.floats(-largest, largest, width=32)
    logits = draw(st.lists(st.lists(logit, min_size=TOKENS, max_size=TOKENS), min_size=size, max_size=size))
    token = st.integers(0, TOKENS - 1)
    histories = draw(st.lists(st.lists(token, min_size=WINDOW, max_size=9), min_size=size, max_size=size))
    targets = draw(st.lists(token, min_size=size, max_size=size))
    return Case(torch.tensor(logits).double(), torch.tensor(targets), seen_from(histories, WINDOW, ITEMS))


def evaluated(case: Case, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient."""
    logits = case.logits.clone().requires_grad_()
    value = LOSSES.get(options["name"])(parse_section("loss", options))(logits, case.targets, case.seen)
    value.backward()
    assert logits.grad is not None
    return value.detach(), logits.grad


@pytest.mark.parametrize("options", PENALTIES, ids=str)
@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases())
def test_a_penalty_of_lambda_zero_is_cross_entropy(options: dict[str, Any], span: Span, case: Case) -> None:
    value, gradient = evaluated(case, **options, of=span, penalty=0)
    plain, plain_gradient = evaluated(case, name="cross_entropy")
    assert torch.equal(value, plain)
    assert torch.equal(gradient, plain_gradient)


@pytest.mark.parametrize("options", [*PENALTIES, {"name": "masked_softmax"}], ids=str)
@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases())
def test_without_repeats_every_loss_is_cross_entropy(options: dict[str, Any], span: Span, case: Case) -> None:
    target_only = [[int(target)] * WINDOW for target in case.targets]  # the target is no repeat of itself
    alone = Case(case.logits, case.targets, seen_from(target_only, WINDOW, ITEMS))
    value, gradient = evaluated(alone, **options, of=span)
    plain, plain_gradient = evaluated(alone, name="cross_entropy")
    assert torch.allclose(value, plain)
    assert torch.allclose(gradient, plain_gradient)


@pytest.mark.parametrize("form", ["mass", "item"])
@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases(largest=200))
def test_the_unlikelihood_is_never_negative_and_its_gradient_bounded(form: str, span: Span, case: Case) -> None:
    value, gradient = evaluated(case, name="unlikelihood", form=form, of=span, penalty=1)
    plain, plain_gradient = evaluated(case, name="cross_entropy")
    assert value >= plain - 1e-9
    assert ((gradient - plain_gradient).abs().sum(dim=1) * len(case.targets) <= 2 + 1e-9).all()


@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases(largest=200))
def test_the_soft_penalty_is_a_probability(span: Span, case: Case) -> None:
    value, _ = evaluated(case, name="soft_penalty", of=span, penalty=1)
    plain, _ = evaluated(case, name="cross_entropy")
    assert -1e-9 <= value - plain <= 1 + 1e-9


@pytest.mark.parametrize("options", [{"name": "soft_penalty"}, {"name": "unlikelihood"}], ids=str)
@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases())
def test_a_penalty_on_the_mass_lowers_every_repeat_and_raises_all_else(
    options: dict[str, Any], span: Span, case: Case
) -> None:
    _, gradient = evaluated(case, **options, of=span, penalty=1)
    _, plain = evaluated(case, name="cross_entropy")
    pushed, repeats = gradient - plain, case.seen.repeats(span, case.targets)
    assert (pushed[repeats] >= -1e-12).all()
    assert (pushed[~repeats] <= 1e-12).all()


@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases())
def test_the_unlikelihood_of_the_mass_is_what_masking_saves(span: Span, case: Case) -> None:
    """−log(1 − m) = cross-entropy − cross-entropy among what is left."""
    value, _ = evaluated(case, name="unlikelihood", of=span, penalty=1)
    plain, _ = evaluated(case, name="cross_entropy")
    masked, _ = evaluated(case, name="masked_softmax", of=span)
    assert torch.allclose(value - plain, plain - masked)


@pytest.mark.parametrize("span", SPANS)
@settings(max_examples=examples(60))
@given(case=cases())
def test_masked_softmax_leaves_what_was_seen_exactly_alone(span: Span, case: Case) -> None:
    _, gradient = evaluated(case, name="masked_softmax", of=span)
    repeats = case.seen.repeats(span, case.targets)
    assert not gradient[repeats].any()
    assert not repeats.gather(1, case.targets[:, None]).any()
