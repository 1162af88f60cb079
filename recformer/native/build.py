"""C++ sources of this folder to libraries, once for each machine, compiler and set of constants."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from recformer.errors import RecformerError

FOLDER = Path(__file__).parent
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-Wno-psabi", "-fPIC", "-shared", "-pthread")
BUILD_S = 120


class BuildError(RecformerError):
    """A library that could not be made; the message is why, without a stop at its end."""


def library(source: str, constants: Mapping[str, int]) -> ctypes.CDLL:
    """The library of `source`, a file of this folder, compiled with `constants`; from the cache where it is there.

    Its name in the cache tells sources, headers, compiler, flags and processor.

    Raises BuildError where there is no compiler, or it fails.
    """
    compiler = _compiler()
    defines = [f"-D{name}={value}" for name, value in constants.items()]
    texts = [path.read_bytes() for path in (FOLDER / source, *sorted(FOLDER.glob("*.hpp")))]
    name = hashlib.sha256(b"\0".join([*texts, _target(compiler), *map(str.encode, [*FLAGS, *defines])])).hexdigest()
    built = _cache() / f"{Path(source).stem}-{name[:24]}.so"
    if not built.is_file():
        _build(compiler, FOLDER / source, defines, built)
    try:
        return ctypes.CDLL(str(built))
    except OSError as error:
        built.unlink(missing_ok=True)
        raise BuildError(f"the library just compiled cannot be loaded: {error}") from None


def _compiler() -> str:
    for name in filter(None, (os.environ.get("CXX"), *COMPILERS)):
        if found := shutil.which(name):
            return found
    raise BuildError(f"no C++ compiler found (looked for {', '.join(COMPILERS)})")


def _target(compiler: str) -> bytes:
    """What the compiler predefines for this very processor: another machine on the same home makes its own."""
    return _run([compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])


def _build(compiler: str, source: Path, defines: list[str], built: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=built.parent, suffix=".so")
    os.close(descriptor)
    try:
        _run([compiler, *FLAGS, *defines, str(source), "-o", name])
        Path(name).replace(built)
    finally:
        Path(name).unlink(missing_ok=True)


def _run(command: list[str]) -> bytes:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=BUILD_S, check=True)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines()
        raise BuildError(f"{Path(command[0]).name} failed: {next(iter(lines), 'without a word')[:200]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{Path(command[0]).name} could not be run: {error}") from None
    return done.stdout


def _cache() -> Path:
    """A folder of this user alone, who runs what lies in it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recformer"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(home, os.W_OK) and home.stat().st_uid == os.getuid():
            return home
    except (OSError, RuntimeError):
        pass
    return Path(tempfile.mkdtemp(prefix="recformer-"))
