"""What people know a run by: name, tags, note, whether it is archived, its colour (`labels.json` in its folder).

People change these at any time, what was asked for never changes: so they have a file of their own beside run.yaml.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from recformer.errors import StoreError, UsageError
from recformer.files import gate
from recformer.files.writing import write_json
from recformer.run.locks import edit_lock
from recformer.run.paths import Root, known_run, run_ids

FILE = "labels.json"
NAME_CHARACTERS = 80
TAG_CHARACTERS = 40
TAGS = 20
NOTE_CHARACTERS = 10_000
COLOURS = 6
"""How many colours there are (see ui/palette.py)."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # line ends, escapes, halves of characters


class Labels(BaseModel):
    """`labels.json`. Its fields are always allowed ones: making it raises UsageError for what is not."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str | None = None
    """What people call the run; None: as its configuration does."""
    tags: list[str] = Field(default_factory=list)
    """Sorted, each once."""
    note: str = ""
    archived: bool = False
    colour: int | None = Field(default=None, ge=0, lt=COLOURS)
    """The number of its colour, given when it was made; None: nobody gave it one."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        return None if name is None else _line("name", name, NAME_CHARACTERS)

    @field_validator("tags")
    @classmethod
    def _check_tags(cls, tags: list[str]) -> list[str]:
        unique = sorted({_line("tag", tag, TAG_CHARACTERS) for tag in tags})
        if len(unique) > TAGS:
            raise UsageError(f"{len(unique)} tags are too many: a run has at most {TAGS}; remove some first")
        return unique

    @field_validator("note")
    @classmethod
    def _check_note(cls, note: str) -> str:
        if len(note) > NOTE_CHARACTERS:
            raise UsageError(
                f"a note of {len(note):,} characters is too long: use at most {NOTE_CHARACTERS:,} characters"
            )
        if _CONTROL.search(re.sub(r"[\t\n\r]", "", note)):
            raise UsageError("the note has control characters; write plain text, line breaks are allowed")
        return note


_ADAPTER = TypeAdapter(Labels)


def read_labels(folder: Path) -> Labels:
    """The labels in a run's folder, empty ones where there are none. Raises StoreError when they are damaged."""
    return gate.read_record(folder / FILE, gate.LABELS, _ADAPTER) or Labels()


def rename(root: Root, run_id: str, name: str | None) -> Labels:
    """Call a run `name` (1 to 80 characters); None: as its configuration does again.

    Raises UsageError for an unknown run or a name that is not allowed, StoreError when the record is damaged or
    the disk refuses; so do the functions below.
    """
    return _change(root, run_id, lambda _: {"name": name})


def tag(root: Root, run_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Labels:
    """Give a run the tags `add` (1 to 40 characters each, 20 in all) and take `remove` from it, if it has them."""
    added, removed = set(add), {text.strip() for text in remove}
    return _change(root, run_id, lambda labels: {"tags": [*(set(labels.tags) - removed), *added]})


def annotate(root: Root, run_id: str, note: str) -> Labels:
    """Replace a run's note (at most 10,000 characters)."""
    return _change(root, run_id, lambda _: {"note": note})


def archive(root: Root, run_id: str, archived: bool = True) -> Labels:
    """Put a run aside, or with `archived=False` back into the list; nothing of it changes otherwise."""
    return _change(root, run_id, lambda _: {"archived": archived})


def give_colour(root: Root, run_id: str) -> None:
    """Give a run without a colour the one that the fewest others have, so that no later change of the list moves it."""
    _change(root, run_id, lambda labels: {"colour": _rarest(root) if labels.colour is None else labels.colour})


def _rarest(root: Root) -> int:
    taken: Counter[int | None] = Counter()
    for run_id in run_ids(root):
        with suppress(StoreError):  # a damaged record takes no colour
            taken[read_labels(root.run(run_id)).colour] += 1
    return min(range(COLOURS), key=lambda colour: taken[colour])


def _change(root: Root, run_id: str, change: Callable[[Labels], dict[str, Any]]) -> Labels:
    """What `change` gives is written over the labels of that moment, so that two who edit at once lose nothing."""
    with edit_lock(root):
        folder = root.run(known_run(root, run_id))
        try:
            before = read_labels(folder)
        except StoreError as error:
            raise StoreError(f"{error}. Then try again; nothing was changed") from error
        after = Labels.model_validate(before.model_dump() | change(before))
        if after != before:
            write_json(folder / FILE, after.model_dump())
    return after


def _line(what: str, text: str, limit: int) -> str:
    """`text` trimmed, where it is a line of 1 to `limit` characters. Raises UsageError otherwise."""
    text = text.strip()
    if not text:
        raise UsageError(f"an empty {what} is not allowed: use 1 to {limit} characters")
    if len(text) > limit:
        raise UsageError(f"{what} {text[:20]!r}… has {len(text)} characters: use 1 to {limit}")
    if _CONTROL.search(text):
        raise UsageError(f"{what} {text!r} is not allowed: write it on one line, without control characters")
    return text
