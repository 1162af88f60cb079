"""The article's three recipes and the losses that train against repeats, in one table.

    python -m benchmarks.losses --data data/ml-100k --epochs 20 --seeds 5

Trains what is not trained yet, one run after the other (run ids losses-<dataset>-<recipe>-<seed>), each with its best
epoch by validation, and prints the tables of `compare` of the test part as Markdown, the seeds of a recipe joined. A
run that was interrupted is resumed.
"""

import argparse
from pathlib import Path

from benchmarks.trained_runs import recformer, train

RECIPES: dict[str, list[str]] = {
    "baseline": ["--preset", "baseline"],
    "penalty": ["--preset", "penalty"],
    "compiled-scheduler": ["--preset", "compiled_scheduler"],
    "fast": ["--preset", "fast"],
    "repeat-bias": ["--preset", "baseline", "--set", "model.repeat_bias=true", "--set", "name=baseline, repeat bias"],
    "soft-penalty": ["--preset", "soft_penalty"],
    "unlikelihood": ["--preset", "unlikelihood"],
    "masked-softmax": ["--preset", "masked_softmax"],
}
"""`repeat-bias` is the control of the two penalties' presets: cross-entropy on their architecture."""
OWN_EPOCHS = {"fast"}
"""Its schedule is made for the epochs of its preset."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the dataset")
    arguments.add_argument("--epochs", type=int, default=20, help="of every recipe but fast (default: %(default)s)")
    arguments.add_argument("--seeds", type=int, default=5, help="runs of each recipe (default: %(default)s)")
    asked = arguments.parse_args()
    names = {recipe: f"losses-{asked.data.resolve().name}-{recipe}" for recipe in RECIPES}
    for seed in range(asked.seeds):
        for recipe, name in names.items():
            settings = [f"seed={seed}"] if recipe in OWN_EPOCHS else [f"seed={seed}", f"num_epochs={asked.epochs}"]
            train(f"{name}-{seed}", asked.data, *RECIPES[recipe], "--set", *settings)
    compared = [f"{name}-{seed}" for name in names.values() for seed in range(asked.seeds)]
    reference = ["--baseline", f"{names['baseline']}-0"]
    protocol = ["--part", "test", "--k", "10", "--data", str(asked.data)]
    recformer("compare", *compared, *reference, *protocol, "--format", "markdown")


if __name__ == "__main__":
    main()
