"""Files that somebody dropped on a page: kept in a hidden folder of data/ until they are added or given up."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from recformer.data.mapping import is_file_name
from recformer.errors import StoreError, UsageError
from recformer.files.temporary_folder import remove_unused

LEFT_S = 86_400.0  # nobody comes back to a page after a day


def keep_uploads(files: Mapping[str, IO[bytes]], data_dir: Path) -> Path:
    """A new folder with the files, by their names; what was left there a day ago is removed.

    Raises UsageError for a name that no file of a dataset may have, StoreError when the disk refuses.
    """
    uploads = data_dir / ".uploads"
    for name in files:
        if not is_file_name(name):
            raise UsageError(f"{name!r} cannot be the name of a file of a dataset. Rename the file, then drop it again")
    try:
        uploads.mkdir(parents=True, exist_ok=True)
        remove_unused(uploads.iterdir(), LEFT_S)
        folder = Path(tempfile.mkdtemp(dir=uploads))
        for name, file in files.items():
            with (folder / name).open("xb") as written:
                shutil.copyfileobj(file, written)
    except OSError as error:
        raise StoreError(
            f"could not write into {uploads}: {error.strerror or error}. Free some space or check its permissions"
        ) from error
    return folder


def give_up(folder: Path) -> None:
    """Remove a folder of uploads."""
    shutil.rmtree(folder, ignore_errors=True)
