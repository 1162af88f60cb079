"""What import-linter cannot say (pyproject.toml holds the arrows): pages are thin, and open without loading torch."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recformer.files.names import PROJECT

PACKAGE = sorted((PROJECT / "recformer").rglob("*.py"))
PAGES = [PROJECT / "app.py", *sorted((PROJECT / "pages").glob("*.py"))]

# What is opened before anybody asks for a model. The registry imports its components when first asked.
LIGHT = [
    "checkpoint.info",
    "checkpoint.load",
    "cli",
    "config",
    "data",
    "errors",
    "evaluation.evaluate",
    "evaluation.store",
    "evaluation.table",
    "jobs",
    "logs",
    "metric",
    "model.baseline",
    "recommend.find_users",
    "recommend.posters",
    "recommend.window_edits",
    "registry",
    "run",
    "statistics",
    "ui",
]
HEAVY = {"torch", "safetensors.torch", "tensorflow"}


def name_of(path: Path) -> str:
    """recformer/run/state.py → recformer.run.state"""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of all that is imported anywhere below `tree`; `from a import b` gives both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imports_at_once(tree: ast.Module, package: str) -> Iterator[str]:
    """Those done when the module is imported: not within a function, not for the type checker alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node, package)
        waiting += ast.iter_child_nodes(node)


def parsed(path: Path) -> tuple[ast.Module, str]:
    """The module's tree, and the package that a relative import in it begins from."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    return ast.parse(path.read_text(encoding="utf-8")), package


def modules_of(*names: str) -> list[Path]:
    found: list[Path] = []
    for name in names:
        there = [path for path in PACKAGE if is_within(name_of(path), f"recformer.{name}")]
        assert there, name
        found += there
    return found


def test_the_reader_of_imports_sees_every_kind() -> None:
    lines = ["import os.path as p", "from a import b", "from . import c", "from .d import e", "from ..f import g"]
    tree = ast.parse("\n".join(lines))
    expected = {"os.path", "a", "a.b", "x.y", "x.y.c", "x.y.d", "x.y.d.e", "x.f", "x.f.g"}
    assert set(imports(tree, "x.y")) == expected
    for_types = "if TYPE_CHECKING:\n    import pandas\nelse:\n    import h\n"
    mixed = ast.parse(f"def f():\n    import torch\n{for_types}try:\n    import j\nfinally: 0")
    assert set(imports_at_once(mixed, "x")) == {"h", "j"}


@pytest.mark.parametrize("path", modules_of(*LIGHT), ids=name_of)
def test_what_opens_fast_does_not_import_torch_at_once(path: Path) -> None:
    assert not [name for name in imports_at_once(*parsed(path)) if is_within(name, *HEAVY)]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_imports_only_the_ui_and_streamlit(path: Path) -> None:
    assert not [name for name in imports(*parsed(path)) if not is_within(name, "recformer.ui", "streamlit")]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_has_no_subprocess_no_groupby_and_no_except(path: Path) -> None:
    tree, _ = parsed(path)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Try | ast.TryStar)
        assert not (isinstance(node, ast.Attribute | ast.Name) and "groupby" in ast.unparse(node))
        assert not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "eval", "exec"))


def test_importing_what_opens_fast_loads_no_torch() -> None:
    names = [name_of(path) for path in modules_of(*LIGHT)]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {'torch', 'tensorflow'} & set(sys.modules)\n"
        "    assert not loaded, f'{name} loads {loaded}'\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_file_that_the_documents_name_is_there() -> None:
    files = [path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("*.py")]
    for folder in ("recformer", "pages", "tests", "benchmarks"):
        files += [path.relative_to(PROJECT).as_posix() for path in (PROJECT / folder).rglob("*.*")]
    for document in sorted((PROJECT / "docs").rglob("*.md")):
        named = set(re.findall(r"`([\w./-]+\.(?:py|cpp|hpp|css|js))`", document.read_text(encoding="utf-8")))
        gone = [name for name in sorted(named) if not any(f"/{file}".endswith(f"/{name}") for file in files)]
        assert not gone, f"{document.name} names {gone}"
