"""The learning rate of each step, against PyTorch's schedulers and by what one cycle has to be."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recformer.training.schedule import learning_rate
from tests.training_helpers import small_config


def test_constant_is_constant() -> None:
    config = small_config(learning_rate=0.25)
    assert {learning_rate(config, epoch, share) for epoch in (0, 7) for share in (0.0, 0.5)} == {0.25}


def test_cosine_is_pytorchs_stepped_once_an_epoch() -> None:
    config = small_config(schedule="cosine", schedule_period=10, learning_rate=0.1, minimum_learning_rate=0.001)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.001)
    for epoch in range(25):
        assert learning_rate(config, epoch, 0.7) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


@given(epochs=st.integers(1, 40), steps=st.integers(20, 200))
def test_one_cycle_climbs_for_a_moment_and_falls_to_the_minimum_in_a_straight_line(epochs: int, steps: int) -> None:
    config = small_config(schedule="one_cycle", num_epochs=epochs, learning_rate=0.1, minimum_learning_rate=0.001)
    rates = [learning_rate(config, epoch, step / steps) for epoch in range(epochs) for step in range(steps)]
    top = max(range(len(rates)), key=rates.__getitem__)
    assert top == pytest.approx(0.03 * len(rates), abs=1)
    assert rates[0] == pytest.approx(0.001)
    assert rates[top] == pytest.approx(0.1, rel=0.1)
    assert all(one <= other for one, other in pairwise(rates[: top + 1]))
    step = 0.099 / (0.97 * len(rates))  # a straight line that is at the minimum one step after the last
    assert rates[top + 1 :] == pytest.approx([0.001 + step * left for left in range(len(rates) - top - 1, 0, -1)])
