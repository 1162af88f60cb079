"""The argument that benchmarks on MovieLens-1M share."""

import argparse
import tempfile
from pathlib import Path

from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT


def folder_asked_for(doc: str | None) -> Path:
    """The folder named by --data, with `doc` as the help; ends the process where it is not one of MovieLens-1M."""
    arguments = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=PROJECT / "data" / "ml-1m", help="folder of MovieLens-1M")
    folder = arguments.parse_args().data.resolve()
    if not (folder / "ratings.dat").is_file():
        arguments.error(f"{folder} has no ratings.dat: python -m recformer data fetch ml-1m, or --data DIR")
    return folder


def parsed(folder: Path) -> Dataset:
    """The dataset, its cache thrown away."""
    with tempfile.TemporaryDirectory() as name:
        return load(folder, Path(name))
