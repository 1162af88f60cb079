"""The losses with a gradient against repeats, on examples worked by hand and against finite differences."""

from collections.abc import Callable
from math import log
from typing import Any, Literal

import pytest
import torch
from torch.nn import functional

from recformer.config import parse_section
from recformer.loss.seen import Span
from recformer.registry import LOSSES
from tests.seen import seen_from

# Four items, SOS and EOS. All items as likely, the tokens out of reach: 1 and 2 are in the window, 0 was before it.
EVEN = torch.tensor([[0.0, 0.0, 0.0, 0.0, -1e4, -1e4]], dtype=torch.float64)
SEEN = seen_from([[4, 0, 1, 2, 1]], 3, num_items=4)
TARGET = torch.tensor([3])
VARIANTS: list[dict[str, Any]] = [
    {"name": name, "of": span} | form
    for name in ("soft_penalty", "unlikelihood", "masked_softmax")
    for span in ("window", "history")
    for form in ([{"form": "mass"}, {"form": "item"}] if name == "unlikelihood" else [{}])
]


def loss_of(**options: Any) -> Callable[..., torch.Tensor]:
    return LOSSES.get(options["name"])(parse_section("loss", options))


def gradient(loss: Callable[..., torch.Tensor], logits: torch.Tensor, targets: torch.Tensor, seen: Any) -> torch.Tensor:
    inputs = logits.clone().requires_grad_()
    loss(inputs, targets, seen).backward()
    assert inputs.grad is not None
    return inputs.grad


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"name": "soft_penalty", "penalty": 1}, log(4) + 0.5),
        ({"name": "soft_penalty", "penalty": 3, "of": "history"}, log(4) + 3 * 0.75),
        ({"name": "unlikelihood", "penalty": 1}, log(4) + log(2)),
        ({"name": "unlikelihood", "penalty": 1, "of": "history"}, log(4) + log(4)),
        ({"name": "unlikelihood", "penalty": 1, "form": "item"}, log(4) + 2 * log(4 / 3)),
        ({"name": "unlikelihood", "penalty": 0.5, "form": "item", "of": "history"}, log(4) + 1.5 * log(4 / 3)),
        ({"name": "masked_softmax", "of": "window"}, log(2)),
        ({"name": "masked_softmax"}, 0.0),
    ],
)
def test_the_worked_numbers(options: dict[str, Any], value: float) -> None:
    assert float(loss_of(**options)(EVEN, TARGET, SEEN)) == pytest.approx(value)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_gradient_is_that_of_finite_differences(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    seen = seen_from([[8, 0, 1, 1, 2], [3, 8, 7, 5, 6], [4, 4, 4, 4, 9]], 3, num_items=8)
    targets = torch.tensor([1, 0, 9])  # a repeat, a new item, EOS
    logits = (3 * torch.randn(3, 10, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda inputs: loss_of(**options)(inputs, targets, seen), (logits,))


def test_the_penaltys_gradient_by_hand() -> None:
    found = gradient(loss_of(name="soft_penalty", penalty=2), EVEN, TARGET, SEEN)
    plain = gradient(loss_of(name="cross_entropy"), EVEN, TARGET, SEEN)
    # λ p (1 − m) for the repeats, −λ p m for the others: 2 × ¼ × ½
    assert (found - plain)[0].tolist() == pytest.approx([-0.25, 0.25, 0.25, -0.25, 0, 0])


def test_the_unlikelihoods_gradient_by_hand() -> None:
    found = gradient(loss_of(name="unlikelihood", penalty=1), EVEN, TARGET, SEEN)
    plain = gradient(loss_of(name="cross_entropy"), EVEN, TARGET, SEEN)
    assert (found - plain)[0].tolist() == pytest.approx([-0.25, 0.25, 0.25, -0.25, 0, 0])  # p, −p m / (1 − m)
    items = gradient(loss_of(name="unlikelihood", penalty=1, form="item"), EVEN, TARGET, SEEN)
    # p − p p / (1 − p) for either repeat, −2 p p / (1 − p) for the others
    assert (items - plain)[0].tolist() == pytest.approx([-1 / 6, 1 / 6, 1 / 6, -1 / 6, 0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", ["mass", "item"])
@pytest.mark.parametrize("height", [20.0, 100.0, 1e4])
def test_a_repeat_as_good_as_certain_costs_its_lead_and_is_pushed_down_by_lambda(
    form: Literal["mass", "item"], height: float, dtype: torch.dtype
) -> None:
    seen = seen_from([[0]], 1, num_items=2)
    logits = torch.tensor([[height, 0.0, 0.0, 0.0]], dtype=dtype)
    with_penalty = loss_of(name="unlikelihood", penalty=1, form=form)
    plain = loss_of(name="cross_entropy")
    targets = torch.tensor([1])
    penalty = float(with_penalty(logits, targets, seen) - plain(logits, targets, seen))
    assert penalty == pytest.approx(height - log(3), rel=1e-5)
    pushed = gradient(with_penalty, logits, targets, seen) - gradient(plain, logits, targets, seen)
    assert pushed[0].tolist() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3], abs=1e-5)


@pytest.mark.parametrize("span", ["window", "history"])
def test_masked_softmax_is_cross_entropy_of_what_is_left(span: Span) -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 6)
    left = [0, 3, 4, 5] if span == "window" else [3, 4, 5]
    plain = functional.cross_entropy(logits[:, left], torch.tensor([left.index(3)]))
    assert float(loss_of(name="masked_softmax", of=span)(logits, TARGET, SEEN)) == pytest.approx(float(plain))
    found = gradient(loss_of(name="masked_softmax", of=span), logits, TARGET, SEEN)
    assert found[0, [token for token in range(6) if token not in left]].tolist() == [0] * (6 - len(left))
    assert found[0, left].all()
