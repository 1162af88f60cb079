"""What a layout is: files of known names, and the tables they give. And what titles are in all of them."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recformer.data.nouns import MOVIES, Nouns
from recformer.data.table import Interactions, require_files

# "Toy Story (1995)", "Associate, The (L'Associe)(1982)", "Land Before Time III (1995) (V)", "Death Note (2006–2007)"
_TITLE_WITH_YEAR = re.compile(r"(.*\S)\s*\(([0-9]{4})(?:\s*[-–]\s*(?:[0-9]{4})?)?\)(?:\s*\(V\))?\s*")
_YEAR = re.compile(r"[0-9]{4}")
NO_GENRES = "(no genres listed)"
"""What MovieLens writes where a movie has none."""


@dataclass(frozen=True, eq=False)
class RawTables:
    """What a layout's files hold, in their order."""

    interactions: Interactions
    items: pd.DataFrame | None
    """`item_id`, each once, int64 or text as it came, and other columns as in `Dataset.item_table`; None where there is
    no file of items."""
    items_path: Path | None
    users: pd.DataFrame | None
    """`user_id`, each once, int64 or text as it came, and other columns; None where there is no file of users."""
    users_path: Path | None
    nouns: Nouns = MOVIES


class Layout:
    """One file format. Register a subclass, made without arguments, in READERS."""

    FILES: tuple[str, ...] = ()
    """Names of the files of interactions, of items and, where the format has one, of users."""

    @property
    def looks_for(self) -> str:
        """The files it needs, for a message."""
        return ", ".join(self.FILES)

    def detect(self, folder: Path) -> bool:
        """Whether `folder` holds any file of this format."""
        return any((folder / name).is_file() for name in self.FILES)

    def files(self, folder: Path) -> list[Path]:
        """Every file it reads, in the order of FILES. Raises DataError when one is missing."""
        return require_files(folder, self.FILES)

    def read(self, folder: Path) -> RawTables:
        """The tables. Raises DataError naming file and line of a fault."""
        interactions, items, *users = self.files(folder)
        path = users[0] if users else None
        return RawTables(
            self.interactions(interactions), self.items(items), items, None if path is None else self.users(path), path
        )

    def interactions(self, path: Path) -> Interactions:
        """The interactions in a file."""
        raise NotImplementedError

    def items(self, path: Path) -> pd.DataFrame:
        """The item table in a file; see RawTables."""
        raise NotImplementedError

    def users(self, path: Path) -> pd.DataFrame:
        """The user table in a file; see RawTables."""
        raise NotImplementedError


def split_title(title: str) -> tuple[str, int | None]:
    """The title without its year, and the year: "Toy Story (1995)" gives ("Toy Story", 1995).

    The year is None, and the title itself, where the title ends in none.
    """
    match = _TITLE_WITH_YEAR.fullmatch(title)
    if match is None:
        return title.strip(), None
    return match.group(1), int(match.group(2))


def year_of(text: str) -> int | None:
    """The year in `text`, None where it holds anything but four digits."""
    return int(text) if _YEAR.fullmatch(text) else None
