"""Every benchmark against its targets, one after the other.

    python -m benchmarks --data data/ml-1m

Each runs in a process of its own and prints its figures. Ends with a line for each benchmark, and with code 1 where one
missed a target or failed. The machine should do nothing else meanwhile. Not among them: `gpu`, which needs a CUDA
device, and `losses`, `quality`, `time_to_quality` and `compilation`, which take long.
"""

import subprocess
import sys
import time

from benchmarks.ml1m import folder_asked_for
from recformer.files.names import PROJECT

ON_ML1M = ("training", "crowded", "step_log", "fast_preset", "sequence_training", "evaluation", "loading", "memory")
BY_ITSELF = ("statistics", "what_if", "logs", "pages", "data_at_size")
LATEST_S = 600


def main() -> None:
    folder = folder_asked_for(__doc__)
    ended = {name: run(name, "--data", str(folder)) for name in ON_ML1M} | {name: run(name) for name in BY_ITSELF}
    ended["inference"] = run("inference", "--short")  # on MovieLens-100K
    ended["app"] = run("app", "--ml1m", str(folder))
    print()
    for name, (code, seconds) in ended.items():
        print(f"{name}: {'all targets met' if code == 0 else 'MISSED or failed'}, {seconds:.0f} s")
    sys.exit(any(code for code, _ in ended.values()))


def run(name: str, *arguments: str) -> tuple[int, float]:
    """Exit code and seconds of one benchmark, whose lines appear as it prints them."""
    print(f"\n{name}", flush=True)
    begin = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    code = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, timeout=LATEST_S, check=False).returncode
    return code, time.monotonic() - begin


if __name__ == "__main__":
    main()
