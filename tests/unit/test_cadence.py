"""Which steps are logged, and after which the model is validated."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recformer.training.schedule import POINTS, is_logged, validation_steps


def logged(epoch: int, steps: int) -> list[int]:
    return [step for step in range(1, steps + 1) if is_logged(epoch, step, steps)]


def test_the_first_points_come_with_the_first_steps_however_long_the_epoch_is() -> None:
    assert logged(0, 100_000)[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]


def test_a_short_epoch_is_logged_step_by_step() -> None:
    assert logged(0, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_later_epochs_have_fewer_points_so_that_a_long_run_has_thousands_and_not_more() -> None:
    assert [len(logged(epoch, 2000)) for epoch in (1, 5, 10, 50)] == [200, 100, 67, 19]
    assert sum(len(logged(epoch, 195)) for epoch in range(600)) < 6000


@given(st.integers(0, 1000), st.integers(1, 5000))
def test_an_epoch_has_at_most_some_200_points_and_its_last_step_is_one(epoch: int, steps: int) -> None:
    found = logged(epoch, steps)
    assert found[-1] == steps
    assert len(found) <= POINTS + 1 + (steps.bit_length() if epoch == 0 else 0)


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (1.0, 100, []),
        (0.5, 100, [50]),
        (0.1, 100, [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (0.3, 10, [3, 6, 9]),  # and at the end of the epoch, as always
        (0.001, 3, [1, 2]),
        (0.25, 1, []),
    ],
)
def test_validation_comes_at_shares_of_an_epoch(every: float, steps: int, expected: list[int]) -> None:
    assert sorted(validation_steps(every, steps)) == expected


@given(st.floats(0.001, 1), st.integers(1, 10_000))
@example(1 / 3, 3)
def test_validations_within_an_epoch_lie_within_it_and_are_no_more_than_asked_for(every: float, steps: int) -> None:
    found = validation_steps(every, steps)
    assert all(1 <= step < steps for step in found)
    assert len(found) <= 1 / every + 1e-6
