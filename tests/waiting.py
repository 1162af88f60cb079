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
    longest_pause_s: float = 0.1,
) -> T:
    """Poll until `condition` gives something true, and return that; fail the test after the deadline.

    The deadline begins anew whenever `progress` gives another value: work that goes on takes as long as it needs. Who
    has waited long is asked less often: a browser that is asked all the time does nothing else.
    """
    begun = time.monotonic()
    seen, deadline = progress(), begun + deadline_s
    while not (found := condition()):
        if (now := progress()) != seen:
            seen, deadline = now, time.monotonic() + deadline_s
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(min(longest_pause_s, 0.01 + (time.monotonic() - begun) / 10))
    return found
