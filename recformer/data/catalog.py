"""Which datasets are there: by the names of files only, without reading any."""

from pathlib import Path

from recformer.data.assemble import is_dataset


def datasets(data_dir: Path) -> list[Path]:
    """Folders under `data_dir` that hold a dataset of a known format, sorted.

    Looks at the sub-folders and, where one is no dataset itself, one level deeper (an unpacked archive with a
    top folder). Hidden folders are left out. A folder that lacks one of its files is listed: loading it
    says which.
    """
    found: list[Path] = []
    for folder in _folders(data_dir):
        found += [folder] if is_dataset(folder) else [inner for inner in _folders(folder) if is_dataset(inner)]
    return found


def _folders(parent: Path) -> list[Path]:
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        return []  # no data/ yet, or a folder that may not be read
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
