"""See a stop through in a process of its own, so that closing the app does not spare a run that hangs.

`python -m recformer.jobs.kill_after_grace RUN_ID`; its output goes to the run's log.
"""

import sys

from recformer.errors import RecformerError
from recformer.jobs.control import see_through
from recformer.run.paths import Root


def main() -> None:
    """Wait for the run that the argument names, and kill it after the grace period."""
    try:
        print(f"stop: {see_through(Root.default(), sys.argv[1])}", flush=True)
    except RecformerError as error:
        sys.exit(f"stop: {error}")


if __name__ == "__main__":
    main()
