"""Tables anywhere on this machine as datasets of the project: looked at, added, and removed again."""

import errno
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recformer.data.build import Progress
from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.guess import Guess, first_rows
from recformer.data.mapping import Settings, write_settings
from recformer.data.sources.linking import refuse_taken
from recformer.errors import DataError, StoreError, UsageError
from recformer.files.names import checked_dataset_name
from recformer.files.temporary_folder import temporary_folder

SHOWN_ROWS = 20
SHOWN_HISTORIES = 3


@dataclass(frozen=True, eq=False)
class Preview:
    """What a mapping makes of the files, before they are added."""

    rows: dict[str, list[Any]]
    """The first rows of the first file, by column; none of a layout, which says what they are."""
    dataset: Dataset
    histories: dict[str, list[str]]
    """The latest items of the first users, by user id: titles where there are any."""


def preview(guess: Guess, cache: Path, progress: Progress | None = None) -> Preview:
    """What would be added. It is read whole, so that adding it afterwards takes no time. Raises as `cache.load`."""
    with _staged(guess, cache) as folder:
        try:
            dataset = load(folder, cache, progress)
        except DataError as error:  # of the link, where people know the file
            for name, path in guess.paths.items():
                error.args = (error.args[0].replace(str(folder / name), str(path)),)
            raise
    return _shown(dataset, first_rows(guess.paths[guess.mapping.files[0]], guess.mapping.form, SHOWN_ROWS))


def preview_layout(folder: Path, cache: Path) -> Preview:
    """What a folder in a known layout holds. Raises DataError where a file of it is not as the layout says."""
    try:
        return _shown(load(folder, cache), {})
    except DataError as error:
        raise DataError(str(error), cli="Or name its columns (--user, --item), to read it as any table") from error


def _shown(dataset: Dataset, rows: dict[str, list[Any]]) -> Preview:
    users = range(min(SHOWN_HISTORIES, dataset.num_users))
    titles = {str(dataset.user_ids[user]): dataset.history(user)[-10:] for user in users}
    return Preview(rows, dataset, {user: [dataset.title_of(item) for item in items] for user, items in titles.items()})


def add(guess: Guess, name: str, data_dir: Path, progress: Progress | None = None, move: bool = False) -> Path:
    """The folder in `data_dir` of the dataset `name`, with links to the files and the mapping beside them.

    `move`: with the files themselves. Files that lie in that folder already stay as they are. Raises UsageError for a
    name that is not allowed or taken, and as `cache.load`; nothing is left behind then.
    """
    target = data_dir / checked_dataset_name(name)
    inside = all(path.parent.resolve() == target.resolve() for path in guess.paths.values())
    if not inside:
        refuse_taken(target)
    preview(guess, data_dir / ".cache", progress)
    if inside:
        write_settings(target, Settings(mapping=guess.mapping))
        return target
    try:
        with _staged(guess, data_dir) as folder:
            folder.rename(target)
        for file, path in guess.paths.items() if move else ():
            path.replace(target / file)  # in place of the link to it
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:  # made by another process, meanwhile
            refuse_taken(target)
        raise StoreError(
            f"could not write {target}: {error.strerror or error}. Check the folder's permissions and free space"
        ) from error
    return target


def remove(name: str, data_dir: Path) -> None:
    """Take a dataset out of `data_dir`: a link alone, or the folder with the files in it; what is linked stays.

    Raises UsageError where there is none, and StoreError when the disk refuses.
    """
    folder = dataset_folder(name, data_dir)
    try:
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"could not remove {folder}: {error.strerror or error}. Check its permissions") from error


def own_bytes(folder: Path) -> int:
    """Bytes of the files that are lost when the dataset is removed: those that are no links."""
    if folder.is_symlink():
        return 0
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.name != "dataset.yaml")


def dataset_folder(name: str, data_dir: Path) -> Path:
    """The folder of the dataset `name`. Raises UsageError where there is none."""
    folder = data_dir / checked_dataset_name(name)
    if not folder.is_dir() and not folder.is_symlink():
        raise UsageError(f"there is no dataset {name} in {data_dir}", cli="See: python -m recformer data list")
    return folder


@contextmanager
def _staged(guess: Guess, parent: Path) -> Generator[Path]:
    """A hidden folder in `parent` with links to the files of a guess and its mapping; removed if still there."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder(parent, "add"))
            for name, path in guess.paths.items():
                (folder / name).symlink_to(path.resolve())
            write_settings(folder, Settings(mapping=guess.mapping))
        except OSError as error:
            raise StoreError(
                f"could not write into {parent}: {error.strerror or error}. Check its permissions"
            ) from error
        yield folder
