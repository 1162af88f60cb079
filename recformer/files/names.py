"""Names and paths as people write them: which may be joined to a path, and how a path is shown."""

import re
import shlex
from pathlib import Path

from recformer.errors import UsageError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
PROJECT = Path(__file__).resolve().parent.parent.parent
"""The folder that the package lies in: the project's, or that of all packages where it is installed."""
IS_INSTALLED = not (PROJECT / "pyproject.toml").is_file()


def checked_run_id(run_id: str) -> str:
    """`run_id` itself where it may be joined to a path. Raises UsageError otherwise."""
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"run id {run_id!r} is not allowed: use 1 to 80 of a-z, 0-9, '.', '_' and '-', "
            "beginning with a letter or a digit"
        )
    return run_id


def expanded(text: str | Path) -> Path:
    """The path in `text`; a leading `~` is a home folder. Raises UsageError where it is that of nobody here."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text}: no user of this machine is called so; write the whole path") from None


def in_shell(path: Path) -> str:
    """The path as it is typed on a command line, for messages that show a command."""
    return shlex.quote(str(path))


def run_id_from(name: str) -> str:
    """A run id made of a name people chose: lower case, everything else a dash ("penalty λ=0.2" → "penalty-0.2")."""
    words = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._")
    return words[:60].rstrip("-._") or "run"


def checked_dataset_name(name: str) -> str:
    """`name` itself where it may be joined to the folder of datasets. Raises UsageError otherwise."""
    if not RUN_ID.fullmatch(name):
        raise UsageError(
            f"dataset name {name!r} is not allowed: use 1 to 80 of a-z, 0-9, '.', '_' and '-', beginning with a letter "
            "or a digit"
        )
    return name
