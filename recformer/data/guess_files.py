"""Which files of a folder hold the interactions, and which the items and the users, by their names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from recformer.data.column_words import WORDS, words_in
from recformer.data.mapping import GivenPart
from recformer.errors import DataError, UsageError
from recformer.files import gate

_INTERACTIONS = {
    "interactions",
    "ratings",
    "reviews",
    "events",
    "orders",
    "purchases",
    "transactions",
    "clicks",
    "log",
    "history",
    "sales",
}
_PARTS: dict[str, GivenPart] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
_SUFFIXES = {
    ".csv",
    ".tsv",
    ".txt",
    ".dat",
    ".data",
    ".parquet",
    ".jsonl",
    ".ndjson",
    ".json",
    ".inter",
    ".item",
    ".user",
}
_PACKED = {".gz", ".zst"}


@dataclass
class Files:
    """Which files of a folder are what."""

    interactions: list[Path]
    parts: list[GivenPart] = field(default_factory=list)
    items: Path | None = None
    users: Path | None = None


def files_in(path: Path, reasons: list[str]) -> Files:
    """The file at `path`, or the files of a folder. Raises DataError where their names do not tell which is what."""
    if not gate.is_folder(path):
        return Files([path])
    found = row_files(path)
    if not found:
        found = sorted(one for depth in range(1, 4) for one in path.glob("*/" * depth + "[!._]*.parquet"))
        if found:
            reasons.append(f"{len(found)} files in folders are parts of one table; the folders' names are not read")
            return Files(found)
        raise DataError(
            f"{path} holds no file of rows ({', '.join(sorted(_SUFFIXES))}). Name a file, or another folder"
        )
    items = [one for one in found if kind_of(one) == ".item" or _is_about(one, "item")]
    users = [one for one in found if one not in items and (kind_of(one) == ".user" or _is_about(one, "user"))]
    rest = [one for one in found if one not in items and one not in users] or items or users
    files = Files(rest, items=_only(items, rest), users=_only(users, rest))
    for what, table in (("items", files.items), ("users", files.users)):
        if table is not None:
            reasons.append(f"{table.name} is the table of {what}, by its name")
    parts: list[GivenPart] = [part for one in rest for word, part in _PARTS.items() if word in words_in(_stem(one))]
    if len(parts) == len(rest) and "train" in parts:
        order = sorted(range(len(parts)), key=lambda place: get_args(GivenPart).index(parts[place]))
        files.interactions, files.parts = [rest[place] for place in order], [parts[place] for place in order]
        said = ", ".join(f"{one.name} is {part}" for one, part in zip(files.interactions, files.parts, strict=True))
        reasons.append(f"the data came split: {said}")
    elif len(rest) > 1:
        files.interactions = _one_table(path, rest, reasons)
    return files


def row_files(folder: Path) -> list[Path]:
    """The files of a folder whose names are those of files of rows, sorted."""
    try:
        return sorted(
            one for one in folder.iterdir() if one.is_file() and kind_of(one) in _SUFFIXES and one.name[0] != "."
        )
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}. Check its permissions") from error


def _one_table(folder: Path, files: list[Path], reasons: list[str]) -> list[Path]:
    """The files that hold the interactions: all, where they are parts of one table, else the one that is called so."""
    named = [one for one in files if set(words_in(_stem(one))) & _INTERACTIONS]
    if len({(re.sub(r"[\d_-]+", "", _stem(one)), kind_of(one)) for one in files}) == 1:
        said = f"{files[0].name} to {files[-1].name}"
        reasons.append(f"{len(files)} files are parts of one table, by their names: {said}")
        return files
    if len(named) != 1:
        names = ", ".join(one.name for one in files[:20])
        raise DataError(f"{folder} holds {names}, and nothing says which has the interactions. Name that file")
    reasons.append(f"{named[0].name} has the interactions, by its name")
    return named


def _only(found: list[Path], rest: list[Path]) -> Path | None:
    return found[0] if len(found) == 1 and found != rest else None


def _is_about(path: Path, role: Literal["item", "user"]) -> bool:
    words = {word.removesuffix("s") for word in words_in(_stem(path))}
    also = {"catalog", "catalogue", "metadata", "meta"} if role == "item" else set[str]()
    return bool(words & (set(WORDS[role].split()) | also)) and not words & {"rating", "review", "event", "interaction"}


def kind_of(path: Path) -> str:
    """The suffix before that of the compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in _PACKED), "")


def _stem(path: Path) -> str:
    return path.name.lower().split(kind_of(path))[0] if kind_of(path) else path.name


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Each file by a name that it can have in the dataset's folder: its own, behind its folder's where it is taken."""
    named: dict[str, Path] = {}
    for path in paths:
        name = path.name.lstrip(".") or "file"
        for parent in path.parents:
            if named.get(name, path) == path or not parent.name:
                break
            name = f"{parent.name.lstrip('.')}-{name}"
        if named.setdefault(name, path) != path:
            raise UsageError(f"{named[name]} and {path} have one name. Rename one of them")
    return named
