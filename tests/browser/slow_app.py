"""The app as always, but ranking a baseline waits until a file is there: python slow_app.py FILE run app.py …"""

import sys
import time
from pathlib import Path
from typing import Any

from streamlit.web import cli

from recformer.evaluation import evaluate


def main() -> None:
    gate, original = Path(sys.argv.pop(1)), evaluate.rank_baseline

    def rank_baseline(name: str, prepared: Any, cases: Any, progress: Any, *others: Any) -> Any:
        with gate.with_name(f"{gate.name}.begun").open("a") as log:
            log.write(f"{name}\n")
        progress(7, len(cases))
        while not gate.exists():
            time.sleep(0.01)
        return original(name, prepared, cases, progress, *others)

    evaluate.rank_baseline = rank_baseline
    cli.main()


if __name__ == "__main__":
    main()
