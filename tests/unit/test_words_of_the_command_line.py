"""Options and commands of the command line stand only where they are read on a command line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from recformer.errors import DataError, RecformerError
from recformer.files.names import PROJECT
from recformer.ui.shared.words import message_of

OPTION = re.compile(r"(?<![\w-])--[a-z]|\b(python|recformer) -m\b|-m recformer|\b(see|with): (runs|data|train)\b", re.I)
ARGUMENT = re.compile(r"--\S+")  # of a command that is put together, not words for people
# The command line itself, and processes that are started by one.
ELSEWHERE = {"commands.py", "datasets.py", "runs.py"}
SHOWN_TO_BE_TYPED = {"python -m recformer import MODEL.pth --name article-baseline --data data/ml-1m"}
FILES = [
    path
    for path in sorted([*(PROJECT / "recformer").rglob("*.py"), *(PROJECT / "pages").glob("*.py"), PROJECT / "app.py"])
    if path.name not in ELSEWHERE
]


def texts(node: ast.AST) -> Iterator[str]:
    """Every piece of text in the code, but for docstrings and what is said on the command line alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg == "cli":
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        yield from texts(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_a_page_may_show_names_no_option_and_no_command(path: Path) -> None:
    found = [text for text in texts(ast.parse(path.read_text())) if OPTION.search(text)]
    assert [text for text in found if not ARGUMENT.fullmatch(text) and text not in SHOWN_TO_BE_TYPED] == []


def test_an_error_says_what_to_do_where_it_is_read() -> None:
    error = DataError("no data", cli="Add --data DIR", page="Open the Data page")
    assert str(error) == "no data. Add --data DIR"
    assert error.on_page == "no data. Open the Data page"
    assert message_of(error) == "no data. Open the Data page"


def test_an_error_without_such_remedies_is_its_message_everywhere() -> None:
    error = RecformerError("the disk is full")
    assert str(error) == error.on_page == "the disk is full"


@pytest.mark.parametrize("path", [path for path in FILES if "ui" in path.parts], ids=lambda path: path.name)
def test_a_page_shows_an_error_by_the_words_for_pages(path: Path) -> None:
    assert not re.search(r"str\(error\)", path.read_text()), "message_of(error) says what to do on a page"
