"""SIGTERM at random moments: seeded runs on the real command line end with the bits of an uninterrupted one."""

import signal

import pytest

from tests.effort import few
from tests.interruptions import Reference, interrupted_at_random


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference.trained(tmp_path_factory.mktemp("stops"))


@pytest.mark.parametrize("seed", few(range(100, 115)))
def test_a_run_stopped_at_random_moments_ends_with_the_bits_of_one_that_was_not(
    reference: Reference, seed: int
) -> None:
    interrupted_at_random(reference, seed, [signal.SIGTERM])
