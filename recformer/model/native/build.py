"""C++ sources of this folder to libraries, once for each machine, compiler and set of constants."""

import ctypes
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recformer.errors import RecformerError

FOLDER = Path(__file__).parent
COMPILERS = ("g++", "clang++", "c++")
FLAGS: tuple[str, ...] = (
    *("-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-Wno-psabi"),
    *("-fPIC", "-shared", "-pthread"),
)
BUILD_S = 60.0  # it takes 4 to 6 s on a processor that does nothing else
WAIT_S = 2 * BUILD_S  # for the build of another process
LOG = "build.log"


class BuildError(RecformerError):
    """A library that could not be made; the message is one sentence without a stop at its end."""


def library(source: str, constants: Mapping[str, int]) -> ctypes.CDLL:
    """The library of `source`, a file of this folder, compiled with `constants`; from the cache where it is there.

    Its name in the cache tells sources, headers, compiler, flags and processor. One library is built at a time.

    Raises BuildError where there is no compiler, or it fails.
    """
    compiler = _compiler()
    built = _place(compiler, source, constants)
    if not built.is_file():
        _build_alone(compiler, FOLDER / source, constants, built)
    try:
        return ctypes.CDLL(str(built))
    except OSError:
        built.unlink(missing_ok=True)
        raise BuildError(f"the library that {Path(compiler).name} made cannot be loaded") from None


def is_built(source: str, constants: Mapping[str, int]) -> bool:
    """Whether `library` has nothing to compile. Raises BuildError as that does."""
    return _place(_compiler(), source, constants).is_file()


def _compiler() -> str:
    for name in filter(None, (os.environ.get("CXX"), *COMPILERS)):
        if found := shutil.which(name):
            return found
    raise BuildError(f"no C++ compiler found (looked for {', '.join(COMPILERS)})")


def _place(compiler: str, source: str, constants: Mapping[str, int]) -> Path:
    texts = [path.read_bytes() for path in (FOLDER / source, *sorted(FOLDER.glob("*.hpp")))]
    words = [_target(compiler), *map(str.encode, [*FLAGS, *_defines(constants)])]
    name = hashlib.sha256(b"\0".join([*texts, *words])).hexdigest()
    return _cache() / f"{Path(source).stem}-{name[:24]}.so"


def _defines(constants: Mapping[str, int]) -> list[str]:
    return [f"-D{name}={value}" for name, value in constants.items()]


def _target(compiler: str) -> bytes:
    """What the compiler predefines for this very processor: another machine on the same home makes its own."""
    return _run([compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])


def _build_alone(compiler: str, source: Path, constants: Mapping[str, int], built: Path) -> None:
    """Build unless another process has built it meanwhile."""
    try:
        with FileLock(built.parent / "build.lock", timeout=WAIT_S):
            for leftover in built.parent.glob("*.unfinished"):  # of builds whose process was killed
                leftover.unlink(missing_ok=True)
            if not built.is_file():
                _build(compiler, source, constants, built)
    except Timeout:
        raise BuildError(f"another process has been building for more than {WAIT_S:.0f} s") from None


def _build(compiler: str, source: Path, constants: Mapping[str, int], built: Path) -> None:
    unfinished = built.with_suffix(".unfinished")
    try:
        _run([compiler, *FLAGS, *_defines(constants), str(source), "-o", str(unfinished)])
        unfinished.replace(built)
    finally:
        unfinished.unlink(missing_ok=True)


def _run(command: list[str]) -> bytes:
    """What a compiler prints. It runs in a process group of its own, which ends whole, whatever happens here."""
    name, pipe = Path(command[0]).name, subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise BuildError(f"{name} could not be run: {error.strerror}") from None
    with process:
        try:
            output, errors = process.communicate(timeout=BUILD_S)
        except subprocess.TimeoutExpired:
            raise BuildError(f"{name} was not finished after {BUILD_S:.0f} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise BuildError(f"{name} failed; what it printed is in {_kept(errors)}")
    return output


def _kept(errors: bytes) -> Path:
    """Where what a compiler printed can be read by who wants to mend it."""
    log = _cache() / LOG
    with suppress(OSError):
        log.write_bytes(errors)
    return log


def _cache() -> Path:
    """A folder of this user alone, who runs what lies in it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recformer"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(home, os.W_OK) and home.stat().st_uid == os.getuid():
            return home
    except (OSError, RuntimeError):
        pass
    return _cache_of_this_process()


@functools.cache
def _cache_of_this_process() -> Path:
    return Path(tempfile.mkdtemp(prefix="recformer-"))
