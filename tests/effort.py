"""How much the tests try: `make test` what a person waits for, `make test-all` (RECFORMER_TESTS=all) many times that."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ALL = os.environ.get("RECFORMER_TESTS") == "all"
SHARE = 3


def examples(most: int) -> int:
    """Hypothesis's `max_examples`: `most` under make test-all, a third of it otherwise."""
    return most if ALL else -(-most // SHARE)


def few(cases: Sequence[T], count: int = 3) -> Sequence[T]:
    """All of the cases under make test-all, the first `count` of them otherwise."""
    return cases if ALL else cases[:count]
