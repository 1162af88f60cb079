"""The one gate through which every file comes that is read: a regular file, bounded in bytes, decoded with a bounded
depth, validated into a type. Whatever does not pass is refused in one sentence, before it costs time or memory.

`tests/unit/test_only_the_gate_reads.py` holds that nothing else opens files to read them.
"""

import errno
import json
import os
import stat
import struct
import zipfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar, cast

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from recformer.errors import CheckpointError, DataError, DownloadError, RecformerError, StoreError, UsageError

Line = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""Text of a record that stands in messages or is joined to a path."""

MOST_DEPTH = 32
"""Lists and mappings within one another; what is written here has at most six."""
MOST_VALUES = 1_000_000
"""Values in one document."""
_YAML_OPENERS = b"[", b"{", b"-", b"?", b":"
"""In YAML, no level begins without one of these."""
_SAFE_LEVELS = 256
"""Levels that libyaml's loader takes on the smallest stack that a thread has; four thousand crash it."""
_HEAD_BYTES = 1 << 16
_HOLE_BYTES = 512
_ZIP_END_BYTES = 22 + (1 << 16) + 76  # with the longest comment, and the larger form before it
_ZIP_DIRECTORY_BYTES = 1 << 22  # some 40,000 files
_KB, _MB, _GB = 1 << 10, 1 << 20, 1 << 30
_COPY_AGAIN = "Copy it again from its source"
_FETCH_AGAIN = "Fetch the dataset again"
_SAY_ANEW = "Write 'repeats: keep' or 'repeats: drop' in it, or remove it; a table is then added anew"
_TOO_DEEP = f"its values are nested more than {MOST_DEPTH} deep"
_TOO_LONG_A_NUMBER = "it holds a whole number that does not fit 64 bits"
_NO_SETTING = "it holds a value that no setting has, such as a date"
_NO_TEXT = "it holds bytes that are no text"
# libyaml's loader is ten times as fast; not every build of PyYAML has it.
_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """What holds for files of one kind."""

    most_bytes: int
    remedy: str
    """What to do about one that is refused; a sentence without its full stop."""
    error: type[RecformerError] = StoreError
    """What a refusal is raised as."""
    text: bool = False
    """Whether it is text, in which no NUL byte is."""
    zeros: bool = False
    """Whether it may begin with zeros; others are holes then, which may go on for gigabytes."""


# A note of the longest that is allowed makes 120 KB.
_RECORD = 256 * _KB
JOB = Kind(_RECORD, "If no process trains this run any more, remove it", text=True)
STATUS = Kind(
    _RECORD,
    "Put it back from a copy. A trainer that is at work writes it anew within seconds; a run that has ended is listed "
    "without its state where the file is removed",
    text=True,
)
CONFIG = Kind(_RECORD, "Put it back from a copy, or remove it: the run is then listed without its settings", text=True)
BEST = Kind(_RECORD, "Put it back from a copy, or remove it: the run is then listed without its best epoch", text=True)
LABELS = Kind(
    _RECORD, "Mend or remove it: the run then goes by its configuration's name, without tags and note", text=True
)
ORIGIN = Kind(_RECORD, "Remove it, then say anew which dataset the run was trained on", text=True)
SETTINGS = Kind(_RECORD, "Mend or remove it: the defaults then hold", text=True)
POSTER_PLACES = Kind(_RECORD, "Remove it, and choose the posters again on Recommend", text=True)
EVALUATION = Kind(_RECORD, "Remove it: the model is then evaluated again", text=True)
RANKS = Kind(4 * _GB, "Remove it: the model is then evaluated again")
LOG_INDEX = Kind(192 * _MB, "Remove it: the log is then read again")
EVENTS = Kind(1 << 40, "Remove it, or copy it again from its source", zeros=True)
PRINTED = Kind(1 << 40, "Remove it", zeros=True)  # train.log, of which the end is read
GIVEN_CONFIG = Kind(_RECORD, "Name a YAML file like those of recformer/training/presets", UsageError, text=True)
POSTER_LINKS = Kind(64 * _MB, "Name a CSV in UTF-8 with the columns item_id and url", UsageError, text=True)
POSTER = Kind(20 * _MB, "Save it as a JPEG of some 100 KB", UsageError)
CHECKPOINT = Kind(16 * _GB, _COPY_AGAIN, CheckpointError)
DATA = Kind(8 * _GB, _FETCH_AGAIN, DataError)
GIVEN_LISTS = Kind(8 * _GB, "Export the lists again", DataError)
LISTS = Kind(4 * _GB, "Remove the run, then import its lists again")
DATA_SETTINGS = Kind(_RECORD, _SAY_ANEW, DataError, text=True)
DATA_SOURCE = Kind(_RECORD, "Remove it: where the dataset came from is then not known", text=True)
DATA_DIGEST = Kind(1024, "Remove it: the file is then read again", DataError, text=True)
DATA_CACHE = Kind(16 * _GB, "Remove it: the dataset is then read again", DataError)
DATA_ARRAY = Kind(16 * _GB, "Remove it: the dataset is then read again", DataError, zeros=True)  # of any numbers
ARCHIVE = Kind(4 * _GB, "Use the original archive", DownloadError)


def open_file(path: Path, kind: Kind) -> BufferedReader:
    """The file at `path`, or where a link there leads, opened to be read.

    It never waits, as opening a pipe would. Raises FileNotFoundError where there is none, and the kind's error for what
    is no regular file, is too large, is named as no file can be, or may not be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(path, kind, error) from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        name = next((name for check, name in kinds if check(found.st_mode)), "a device")
        raise refused(path, kind, f"it is {name}, not a file")
    file = os.fdopen(handle, "rb")
    try:
        if found.st_size > kind.most_bytes:
            raise refused(path, kind, f"it has {_size(found.st_size)}; at most {_size(kind.most_bytes)} are read of it")
        head = file.peek(_HEAD_BYTES)
        if kind.text and b"\0" in head:
            raise refused(path, kind, _NO_TEXT)
        if len(head) >= _HOLE_BYTES and not kind.zeros and not head[:_HOLE_BYTES].strip(b"\0"):
            raise refused(path, kind, "it begins with zeros")
    except OSError as error:
        file.close()
        raise _unreadable(path, kind, error) from error
    except BaseException:
        file.close()
        raise
    return file


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False too for a name that none can have, where Path.is_dir raises."""
    return os.path.isdir(path)  # noqa: PTH112


def open_zip(file: IO[bytes], path: Path, kind: Kind) -> zipfile.ZipFile:
    """The archive in an open file, its directory of bounded size: Python's reader takes it in at any length.

    Raises zipfile.BadZipFile where it is none, and the kind's error for a directory that is too large.
    """
    end = file.seek(0, os.SEEK_END)
    begin = file.seek(max(end - _ZIP_END_BYTES, 0))
    tail = file.read(end - begin)
    at = tail.rfind(b"PK\x05\x06")
    fields = struct.unpack_from("<HHI", tail, at + 8) if 0 <= at <= len(tail) - 22 else (0, 0, 0)
    if fields[2] == 0xFFFFFFFF and at >= 76:  # the larger form stands before it
        fields = struct.unpack_from("<QQQ", tail, at - 76 + 24)
    if fields[2] > _ZIP_DIRECTORY_BYTES:
        raise refused(path, kind, "it holds more files than any such archive")
    file.seek(0)
    return zipfile.ZipFile(file)


def read_bytes(path: Path, kind: Kind) -> bytes:
    """All of a file. Raises as `open_file`."""
    with open_file(path, kind) as file:
        try:
            return file.read()
        except OSError as error:
            raise _unreadable(path, kind, error) from error


def read_object(path: Path, kind: Kind) -> dict[str, Any] | None:
    """The named values in a JSON file, or in a YAML file that is called so; None where there is no file.

    Raises the kind's error.
    """
    try:
        content = read_bytes(path, kind)
    except FileNotFoundError:
        return None
    parse = parse_yaml if path.suffix in (".yaml", ".yml") else parse_json
    return as_mapping(parse(content, path, kind), path, kind)


def read_record(path: Path, kind: Kind, record: TypeAdapter[T]) -> T | None:
    """What a JSON or YAML file says, as the type that `record` validates; None where there is no file. Raises the
    kind's error, naming the first field that is wrong."""
    value = read_object(path, kind)
    return None if value is None else validated(value, record, path, kind)


def validated(value: Any, record: TypeAdapter[T], path: Path, kind: Kind) -> T:
    """`value` as the type that `record` validates. Raises the kind's error, naming the first field that is wrong."""
    try:
        return record.validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"]))[:80] or "it"
        raise refused(path, kind, f"{place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from None
    except RecformerError as error:  # of a validator of our own
        raise refused(path, kind, str(error)) from error


def parse_json(content: bytes, path: Path, kind: Kind) -> Any:
    """The value of a JSON document, of bounded depth and numbers. Raises the kind's error."""
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise refused(path, kind, _NO_TEXT) from None
    except json.JSONDecodeError as error:
        why = f"it is cut off or no JSON (line {error.lineno})" if content.strip() else "it is empty"
        raise refused(path, kind, why) from None
    except RecursionError:
        raise refused(path, kind, _TOO_DEEP) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise refused(path, kind, _TOO_LONG_A_NUMBER) from None
    check_values(value, path, kind)
    return value


def parse_yaml(content: bytes, path: Path, kind: Kind) -> Any:
    """The value of a YAML document, without aliases, of bounded depth and numbers. Raises the kind's error."""
    try:
        content.decode("utf-8")
        if sum(map(content.count, _YAML_OPENERS)) > _SAFE_LEVELS or b"*" in content:
            _check_events(content, path, kind)
        value = yaml.load(content, Loader=_YAML_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise refused(path, kind, f"it is cut off or no YAML (line {line})") from None
    except (yaml.reader.ReaderError, UnicodeDecodeError):
        raise refused(path, kind, _NO_TEXT) from None
    except RecformerError:
        raise
    except RecursionError:
        raise refused(path, kind, _TOO_DEEP) from None
    except Exception:  # PyYAML's constructors raise what they like: KeyError for "!!bool x", IndexError for "!!int ''"
        raise refused(path, kind, _NO_SETTING) from None
    check_values(value, path, kind)
    return value


def check_values(value: Any, path: Path, kind: Kind) -> None:
    """Raises the kind's error unless `value` is what JSON can say, with numbers that a machine has.

    That is: mappings with names as keys, lists, text, numbers (a whole one of at most 64 bits), yes, no and nothing,
    not too deep and not too many.
    """
    level, seen, depth = [value], 0, 0
    while level:
        depth, seen = depth + 1, seen + len(level)
        if depth > MOST_DEPTH + 1:
            raise refused(path, kind, _TOO_DEEP)
        if seen > MOST_VALUES:
            raise refused(path, kind, f"it holds more than {MOST_VALUES:,} values")
        following: list[Any] = []
        for entry in level:
            following.extend(_parts(entry, path, kind))
        level = following


def as_mapping(value: Any, path: Path, kind: Kind) -> dict[str, Any]:
    """`value` itself where it is a mapping. Raises the kind's error."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if value is None:
        raise refused(path, kind, "it is empty")
    found = {"str": "text", "list": "list"}.get(type(value).__name__, "number")
    raise refused(path, kind, f"named values were expected, it holds a {found}")


def refused(path: Path, kind: Kind, why: str) -> RecformerError:
    """The one form of every refusal: which file, what is wrong, what to do."""
    state = "is damaged" if kind.error is StoreError else "cannot be read"
    return kind.error(f"{_shown(path)} {state}: {on_a_line(why)}. {kind.remedy}")


def _parts(value: Any, path: Path, kind: Kind) -> list[Any]:
    """What a value is made of. Raises the kind's error for what no JSON document has."""
    if isinstance(value, dict):
        mapping = cast("dict[Any, Any]", value)
        if not all(type(key) is str for key in mapping):
            raise refused(path, kind, "a name is no text")
        return list(mapping.values())
    if isinstance(value, list | tuple):
        return list(cast("list[Any]", value))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise refused(path, kind, _TOO_LONG_A_NUMBER)
    if value is not None and not isinstance(value, str | int | float):
        raise refused(path, kind, _NO_SETTING)
    return []


def _check_events(content: bytes, path: Path, kind: Kind) -> None:
    """Raises where a YAML document goes deeper than allowed, which crashes libyaml's loader, or repeats itself."""
    depth = 0
    for event in yaml.parse(content, Loader=_YAML_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise refused(path, kind, f"it repeats a value by *{event.anchor}: write each value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise refused(path, kind, _TOO_DEEP)


def _unreadable(path: Path, kind: Kind, error: Exception) -> RecformerError:
    """The refusal of what the system does not open."""
    if isinstance(error, OSError) and error.errno not in _NO_NAME:
        return kind.error(f"{_shown(path)} cannot be read: {error.strerror}. Check its permissions and its disk")
    return kind.error(f"{_shown(path)} cannot be read: no file can have this name. Check the name")


def _shown(path: Path) -> str:
    """A path for a message: on one line and not too long, whatever it holds."""
    text = on_a_line(str(path))
    return text if len(text) <= 300 else f"{text[:150]}…{text[-149:]}"


def on_a_line(text: str) -> str:
    """Text of a file for a message: what cannot be printed, line ends too, is replaced."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _size(count: int) -> str:
    for unit, name in ((_GB, "GB"), (_MB, "MB"), (_KB, "KB")):
        if count >= unit:
            return f"{count / unit:,.0f} {name}"
    return f"{count} bytes"
