"""The argument that benchmarks on MovieLens-1M share."""

import argparse
import tempfile
from pathlib import Path

from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT


def folder_asked_for(doc: str | None) -> Path:
    """The folder named by --data, with `doc` as the help; ends the process where it is not one of MovieLens-1M."""
    return folder_in(argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter))[0]


def folder_in(arguments: argparse.ArgumentParser) -> tuple[Path, argparse.Namespace]:
    """The folder named by --data beside other arguments, and those."""
    arguments.add_argument("--data", type=Path, default=PROJECT / "data" / "ml-1m", help="folder of MovieLens-1M")
    asked = arguments.parse_args()
    folder = asked.data.resolve()
    if not (folder / "ratings.dat").is_file():
        arguments.error(f"{folder} has no ratings.dat: python -m recformer data fetch ml-1m, or --data DIR")
    return folder, asked


def parsed(folder: Path) -> Dataset:
    """The dataset, its cache thrown away."""
    with tempfile.TemporaryDirectory() as name:
        return load(folder, Path(name))
