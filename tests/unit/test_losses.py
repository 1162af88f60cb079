"""The losses on worked examples, and the penalty that has no gradient."""

from math import log
from typing import Literal

import pytest
import torch
from torch.nn import functional

from recformer.loss.argmax_penalty import ArgmaxPenalty, ArgmaxPenaltyOptions
from recformer.loss.cross_entropy import CrossEntropy, CrossEntropyOptions
from tests.seen import seen_from

Reduction = Literal["mean", "median"]

# Four cases, three tokens; the argmax is 0, 1, 2, 0, of which the first, second and fourth are in the window.
LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0], [5.0, 1.0, 0.0]])
TARGETS = torch.tensor([1, 1, 2, 2])
WINDOWS = [[0, 1], [2, 1], [0, 1], [1, 0]]
SEEN = seen_from(WINDOWS, 2, num_items=3)


def penalty(weight: float, reduction: Reduction = "mean") -> ArgmaxPenalty:
    return ArgmaxPenalty(ArgmaxPenaltyOptions(penalty=weight, reduction=reduction))


def test_cross_entropy_of_two_equal_logits_is_log_two() -> None:
    loss = CrossEntropy(CrossEntropyOptions())
    value = loss(torch.zeros(3, 2), torch.tensor([0, 1, 1]), seen_from([[0] * 5] * 3, 5, num_items=2))
    assert float(value) == pytest.approx(log(2))


def test_cross_entropy_ignores_the_window() -> None:
    loss = CrossEntropy(CrossEntropyOptions())
    assert torch.equal(loss(LOGITS, TARGETS, SEEN), loss(LOGITS, TARGETS, seen_from(WINDOWS[::-1], 2, num_items=3)))


def test_the_penalty_adds_lambda_times_the_share_of_repeats() -> None:
    plain = float(functional.cross_entropy(LOGITS, TARGETS))
    assert float(penalty(0.2)(LOGITS, TARGETS, SEEN)) == pytest.approx(plain + 0.2 * 3 / 4)
    assert float(penalty(8)(LOGITS, TARGETS, SEEN)) == pytest.approx(plain + 8 * 3 / 4)


def test_the_median_of_mostly_repeats_is_one_and_of_mostly_none_is_zero() -> None:
    plain = float(functional.cross_entropy(LOGITS, TARGETS))
    assert float(penalty(0.2, "median")(LOGITS, TARGETS, SEEN)) == pytest.approx(plain + 0.2)
    one_repeat = seen_from([[0, 1], [2, 0], [0, 1], [1, 2]], 2, num_items=3)
    assert float(penalty(0.2, "median")(LOGITS, TARGETS, one_repeat)) == pytest.approx(plain)


def test_a_penalty_of_zero_is_cross_entropy() -> None:
    plain = functional.cross_entropy(LOGITS, TARGETS)
    assert torch.equal(penalty(0)(LOGITS, TARGETS, SEEN), plain)


@pytest.mark.parametrize("reduction", ["mean", "median"])
@pytest.mark.parametrize("weight", [0.1, 0.2, 1000])
def test_the_penaltys_gradient_is_exactly_cross_entropys(reduction: Reduction, weight: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(64, 50)
    targets = torch.randint(0, 50, (64,))
    windows = torch.randint(0, 50, (64, 5))
    windows[:32, 2] = logits[:32].argmax(dim=1)  # half of them repeat
    gradients = []
    for loss in (CrossEntropy(CrossEntropyOptions()), penalty(weight, reduction)):
        inputs = logits.clone().requires_grad_()
        loss(inputs, targets, seen_from(windows.tolist(), 5, num_items=48)).backward()
        gradients.append(inputs.grad)
    assert gradients[0] is not None
    assert gradients[0].any()
    assert torch.equal(gradients[0], gradients[1])
