"""Folders elsewhere on this machine as datasets of the project: links in data/, which keep nothing twice."""

from pathlib import Path

from recformer.data.cache import load
from recformer.errors import DataError, StoreError, UsageError
from recformer.files import gate
from recformer.files.names import checked_dataset_name, run_id_from


def link_folder(folder: Path, data_dir: Path, fingerprint: str = "") -> Path:
    """The link in `data_dir` to the dataset in `folder`, made where there is none.

    Raises DataError when it holds no dataset, or other data than those of `fingerprint` where that is given, and
    StoreError when the disk refuses.
    """
    if not gate.is_folder(folder):
        raise DataError(f"{folder} is no folder on this machine. Name a folder with the files of a dataset")
    found = load(folder, data_dir / ".cache").fingerprint
    if fingerprint not in ("", found):
        raise DataError(
            f"{folder} holds other data: its fingerprint is {found}, not {fingerprint}. Name another folder"
        )
    name = run_id_from(folder.resolve().name)
    for number in range(1, 1000):
        link = data_dir / (name if number == 1 else f"{name}-{number}")
        if link.exists() and not link.samefile(folder):
            continue
        if not link.exists():
            _point(link, folder)
        return link
    raise StoreError(f"there are too many datasets called {name} in {data_dir}; remove some")


def link_as(name: str, folder: Path, data_dir: Path) -> Path:
    """The new link `name` in `data_dir` to the dataset in `folder`.

    Raises UsageError for a name that is not allowed or taken, DataError for files that cannot be read, and StoreError
    when the disk refuses.
    """
    link = data_dir / checked_dataset_name(name)
    refuse_taken(link)
    load(folder, data_dir / ".cache")
    _point(link, folder)
    return link


def refuse_taken(target: Path) -> None:
    """Raise UsageError where there is a dataset, or anything else, at `target` already."""
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"there is a dataset {target.name} in {target.parent} already. Choose another name, or remove it first"
        )


def _point(link: Path, folder: Path) -> None:
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.unlink(missing_ok=True)  # a link to where nothing is any more
        link.symlink_to(folder.resolve(), target_is_directory=True)
    except OSError as error:
        raise StoreError(
            f"could not write {link}: {error.strerror or error}. Check the folder's permissions and free space"
        ) from error
