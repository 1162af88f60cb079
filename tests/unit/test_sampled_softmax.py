"""The softmax over a sample: that over all items where all are drawn, and near it in the mean."""

import pytest
import torch
from torch import Tensor

from recformer.config import parse
from recformer.errors import ConfigError
from recformer.model.full_softmax import TakenOut, full_softmax
from recformer.model.sampled_softmax import sampled_softmax

ITEMS, ROWS, WIDTH = 40, 30, 4


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, TakenOut, Tensor]:
    torch.manual_seed(0)
    hidden, weight = torch.randn(ROWS, WIDTH), torch.randn(ITEMS, WIDTH)
    shares = torch.rand(ITEMS).square()
    shares /= shares.sum()
    targets = torch.multinomial(shares, ROWS, replacement=True)
    tokens = torch.randint(0, ITEMS + 2, (60,))  # SOS and EOS among them
    firsts = (torch.arange(ROWS) // 5) * 10
    ends = firsts + torch.arange(ROWS) % 5 * 2
    return hidden, weight, torch.randn(ITEMS), targets, TakenOut(tokens, firsts, ends), shares


@pytest.mark.parametrize("takes_out", [True, False])
def test_of_all_items_it_is_the_full_softmax(takes_out: bool) -> None:
    hidden, weight, bias, targets, taken_out, shares = inputs()
    known = (hidden, weight, bias, targets, taken_out if takes_out else None)
    gradients = []
    for loss in (lambda: full_softmax(*known), lambda: sampled_softmax(*known, shares, 5000)):
        hidden.grad = weight.grad = bias.grad = None
        for part in (hidden, weight, bias):
            part.requires_grad_()
        found = loss()
        found.backward()
        gradients.append((found.detach(), hidden.grad, weight.grad, bias.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_where_scores_are_right_a_sample_changes_nothing_in_the_mean() -> None:
    torch.manual_seed(0)
    shares = torch.rand(ITEMS).pow(3) + 1e-3
    shares /= shares.sum()
    right = shares.log().requires_grad_()  # what the loss over all items is least for
    hidden, weight = torch.zeros(ROWS, WIDTH), torch.zeros(ITEMS, WIDTH)
    corrected, plain = torch.zeros(2, ITEMS)
    for _ in range(2000):
        targets = torch.multinomial(shares, ROWS, replacement=True)
        for mean, known in ((corrected, shares), (plain, torch.zeros(ITEMS))):
            mean += torch.autograd.grad(sampled_softmax(hidden, weight, right, targets, None, known, 10), right)[0]
    assert corrected.abs().max() / 2000 < 0.003 < 0.01 < plain.abs().max() / 2000


def test_models_of_windows_sample_no_items() -> None:
    with pytest.raises(ConfigError, match="sampled for models of whole histories, not for movie_transformer; set 0"):
        parse({"name": "x", "negatives": 5})
    assert parse({"name": "x", "model": "sasrec", "loss": "masked_softmax", "negatives": 5}).negatives == 5
