"""The gate: what is no regular file, too large, too deep or not of its type is refused in one sentence."""

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from recformer.errors import RecformerError, StoreError
from recformer.files import gate

KINDS = {name: kind for name, kind in vars(gate).items() if isinstance(kind, gate.Kind)}


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's whole path has at most 107 bytes
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def a_link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def a_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 41)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "pipe": (os.mkfifo, "it is a pipe, not a file"),
    "socket": (a_socket, "cannot be read"),
    "/dev/zero": (a_link_to("/dev/zero"), "it is a device, not a file"),
    "/dev/urandom": (a_link_to("/dev/urandom"), "it is a device, not a file"),
    "link to itself": (a_link_to("file"), "no file can have this name"),
    "below a file": (a_link_to("/etc/hostname/below"), "no file can have this name"),
    "sparse": (a_sparse_file, "it has 2,048 GB; at most "),
}


@pytest.mark.parametrize("made", NO_FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_bounded_file_is_refused_for_every_kind(kind: str, made: str, tmp_path: Path) -> None:
    make, words = NO_FILES[made]
    make(tmp_path / "file")
    with pytest.raises(KINDS[kind].error) as refusal:
        gate.read_bytes(tmp_path / "file", KINDS[kind])
    assert str(refusal.value).startswith(f"{tmp_path / 'file'} ")
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "x\n" * 200])
def test_a_name_that_no_file_can_have_is_told_on_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no file can have this name. Check the name") as refusal:
        gate.read_bytes(tmp_path / name, gate.JOB)
    assert len(str(refusal.value)) < 400 and str(refusal.value).isprintable()


def test_a_link_to_a_file_is_read_and_a_file_that_is_not_there_is_for_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"a": 1}')
    (tmp_path / "link").symlink_to("file")
    assert gate.read_object(tmp_path / "link", gate.JOB) == {"a": 1}
    assert gate.read_object(tmp_path / "none", gate.JOB) is None
    with pytest.raises(FileNotFoundError):
        gate.read_bytes(tmp_path / "none", gate.JOB)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="cannot be read: Permission denied. Check its permissions"):
        gate.read_bytes(tmp_path / "file", gate.JOB)


def test_no_file_stays_open_that_was_refused(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    for make, _ in NO_FILES.values():
        path = tmp_path / "file"
        make(path)
        before = opened()
        for kind in KINDS.values():
            with pytest.raises(kind.error):
                gate.open_file(path, kind)
        assert opened() == before
        path.rmdir() if stat.S_ISDIR(path.lstat().st_mode) else path.unlink()


DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n", "it is empty"),
    "cut": (b'{"a": [1, ', "it is cut off or no "),
    "nothing": (b"null", "it is empty"),
    "list": (b"[1]", "named values were expected, it holds a list"),
    "text": (b'"a"', "named values were expected, it holds a text"),
    "number": (b"1", "named values were expected, it holds a number"),
    "zeros": (bytes(300), "bytes that are no text"),
    "no text": (b"\xff\xfe{}", "bytes that are no text"),
    "lists 100,000 deep": (b"[" * 100_000, "nested more than 32 deep"),
    "objects 40,000 deep": (b'{"a":' * 40_000, "nested more than 32 deep"),
    "closed lists 33 deep": (b'{"a":' + b"[" * 33 + b"]" * 33 + b"}", "nested more than 32 deep"),
    "number of 25 digits": (b'{"a": -' + b"9" * 25 + b"}", "a whole number that does not fit 64 bits"),
    "number of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "it holds a"),
}
YAML: dict[str, tuple[bytes, str]] = {
    "blocks 2,000 deep": (b"- " * 2000, "nested more than 32 deep"),
    "bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "it repeats a value by *a: write each value out"),
    "itself": (b"a: &a [*a]", "it repeats a value by *a"),
    "code": (b"a: !!python/object/apply:os.getpid []", "no YAML"),
    "number of 240,000 bits": (b"a: 0x" + b"f" * 60_000, "a whole number that does not fit 64 bits"),
    "date": (b"a: 2024-01-01", "a value that no setting has, such as a date"),
    "no date": (b"a: 2024-99-01", "a value that no setting has, such as a date"),
    "number as name": (b"1: 2", "a name is no text"),
    "nothing as name": (b"~: 2", "a name is no text"),
    "list as name": (b"? [1]\n: 2", "no YAML"),
    "set": (b"a: !!set {b}", "a value that no setting has"),
}


def read_yaml(path: Path, kind: gate.Kind) -> Any:
    return gate.as_mapping(gate.parse_yaml(gate.read_bytes(path, kind), path, kind), path, kind)


READ = [(gate.read_object, name, entry) for name, entry in DOCUMENTS.items()]
READ += [(read_yaml, name, entry) for name, entry in (DOCUMENTS | YAML).items()]


@pytest.mark.parametrize(("read", "name", "entry"), READ, ids=[f"{read.__name__} {name}" for read, name, _ in READ])
def test_a_damaged_document_is_refused(
    read: Callable[..., Any], name: str, entry: tuple[bytes, str], tmp_path: Path
) -> None:
    content, words = entry
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(StoreError) as refusal:
        read(tmp_path / "file", gate.CONFIG)
    assert str(refusal.value).startswith(f"{tmp_path / 'file'} is damaged: ")
    assert words in str(refusal.value) and str(refusal.value).endswith(gate.CONFIG.remedy)


def test_depth_is_counted_outside_of_texts(tmp_path: Path) -> None:
    value = {"a": "[" * 100, 'b"\\': ['"[[{\\"' * 50], "deep": json.loads("[" * 31 + "]" * 31)}
    (tmp_path / "file").write_text(json.dumps(value))
    assert gate.read_object(tmp_path / "file", gate.JOB) == value


def test_a_value_of_another_type_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"a": "x"}')
    with pytest.raises(StoreError, match="file is damaged: a: input should be a valid integer"):
        gate.read_record(tmp_path / "file", gate.JOB, TypeAdapter(dict[str, int]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    assert gate.parse_json(json.dumps(value).encode(), Path("file"), gate.JOB) == value


@given(st.binary(max_size=300) | st.text(alphabet="[]{}\":,\\ 1e-*&!|>'#\n?a", max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for parse in (gate.parse_json, gate.parse_yaml):
        try:
            parse(content, Path("file"), gate.JOB)
        except RecformerError:
            continue
