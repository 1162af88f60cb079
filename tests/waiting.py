"""Wait for a condition with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE_S = 90.0
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    what: str,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[], object] = lambda: None,
) -> T:
    """Poll until `condition` gives something true, and return that; fail the test after the deadline.

    The deadline begins anew whenever `progress` gives another value: work that goes on takes as long as it needs.
    """
    seen, deadline = progress(), time.monotonic() + deadline_s
    while not (found := condition()):
        if (now := progress()) != seen:
            seen, deadline = now, time.monotonic() + deadline_s
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)
    return found
