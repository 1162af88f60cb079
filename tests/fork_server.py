"""Starts of the command line in milliseconds: a process that has imported PyTorch forks one for each.

A forked process is what a started one is to whoever watches it: its own process id, signals, exit code, environment,
folder, session where asked for, and the real output files; it runs the entry point of the command it was asked for.
`Popen` takes the place of `subprocess.Popen` (see conftest.py) and turns to the server for the commands in ENTRIES
alone. What the server cannot give as a fresh interpreter would, such as other variables that Python or OpenMP reads
when it starts, is started the ordinary way; so is everything within `fresh_processes`.

The server only imports: OpenMP's threads do not survive a fork, so no parallel region may run before it.
"""

import array
import atexit
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

ENTRIES = {
    "recformer": "recformer.cli.commands",
    "recformer.jobs.supervisor": "recformer.jobs.supervisor",
    "streamlit": "streamlit.web.cli",
}
"""Modules after `python -m`, and where their `main` is."""
IMPORTED = (  # no page: what pages keep in memory needs the server that runs
    "plotly.graph_objects",
    "plotly.io",
    "recformer.cli.commands",
    "recformer.evaluation.compare",
    "recformer.evaluation.significance",
    "recformer.recommend.side_by_side",
    "recformer.sweep.grid",
    "recformer.training.engine",
    "recformer.training.import_run",
    "recformer.training.request",
    "torch._dynamo",  # by the first optimizer
)
ADDRESS = "RECFORMER_TEST_FORK_SERVER"
READ_AT_START = ("PYTHON", "OMP_", "GOMP_", "MKL_", "LD_")
"""Variables that are read once, when an interpreter or a library begins."""
FREE = ("PYTHONUNBUFFERED",)
STARTED = subprocess.Popen
_ordinary = False


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """`subprocess.Popen`, whose commands of ENTRIES are forked where PyTorch has been imported already."""

    _connection: socket.socket | None = None
    _status = b""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *others: Any) -> None:
        names = ("close_fds", "pass_fds", "cwd", "env", "startupinfo", "creationflags", "shell")
        fds = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        given = dict(zip((*names, *fds), others, strict=False))
        rest = dict(
            zip(("restore_signals", "gid", "gids", "uid", "umask", "start_new_session"), others[13:], strict=False)
        )
        if _entry(args) and not _ordinary and executable is None and not given["shell"] and not given["pass_fds"]:
            files = [
                given[end] if given[end] != -1 else number
                for number, end in enumerate(("p2cread", "c2pwrite", "errwrite"))
            ]
            request = {
                "args": [str(word) for word in args],
                "env": dict(os.environ if given["env"] is None else given["env"]),
                "cwd": str(given["cwd"] or Path.cwd()),
                "session": bool(rest["start_new_session"]),
                "blocked": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            }
            if _may_fork():
                self.pid = _fork_here(request, files, preexec_fn)
            elif preexec_fn is None and (address := os.environ.get(ADDRESS)):
                self._connection, self.pid = _asked(address, request, files)
            if getattr(self, "pid", 0):
                self._child_created = True
                self._close_pipe_fds(*(given[end] for end in fds))
                return
        super()._execute_child(args, executable, preexec_fn, *others)

    def _internal_poll(self, _deadstate: int | None = None, **others: Any) -> int | None:
        if self._connection is None:
            return super()._internal_poll(_deadstate, **others)
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                if self.returncode is None and self._try_wait(os.WNOHANG)[0]:
                    self._handle_exitstatus(int(self._status))
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._connection is None:
            return super()._try_wait(wait_flags)
        if not self._status:
            try:
                self._status = self._connection.recv(16, socket.MSG_DONTWAIT if wait_flags & os.WNOHANG else 0)
            except BlockingIOError:
                return 0, 0
            self._connection.close()
            self._status = self._status or b"0"  # the server has gone, and took the status with it
        return self.pid, int(self._status)


@contextmanager
def fresh_processes() -> Iterator[None]:
    """Within it every process is a fresh interpreter: for what tests the start itself."""
    global _ordinary
    before, _ordinary = _ordinary, True
    try:
        yield
    finally:
        _ordinary = before


@contextmanager
def running() -> Iterator[None]:
    """A server for this process and those that it starts; `subprocess.Popen` asks it."""
    with tempfile.TemporaryDirectory(prefix="fork-") as folder:
        address = str(Path(folder) / "socket")
        command = [sys.executable, "-m", "tests.fork_server", address]
        with STARTED(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as server:
            assert server.stdout is not None
            os.environ[ADDRESS], subprocess.Popen = address, Popen  # type: ignore[misc]
            try:
                server.stdout.read(1)  # it listens; what it imports is not waited for
                yield
            finally:
                subprocess.Popen = STARTED  # type: ignore[misc]
                del os.environ[ADDRESS]
                server.kill()


def _entry(args: Any) -> str | None:
    """Where the `main` of a command is that may be forked."""
    if isinstance(args, Sequence) and len(args) > 2 and [*args[:2]] == [sys.executable, "-m"]:
        return ENTRIES.get(str(args[2]))
    return None


def _asked(address: str, request: Mapping[str, Any], files: list[int]) -> tuple[socket.socket | None, int]:
    """A connection that tells the exit status, and the process id; 0 where the server leaves it to us."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    content = json.dumps(request).encode()
    handed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
    connection.sendmsg([len(content).to_bytes(8, "little")], handed)
    connection.sendall(content)
    pid = int.from_bytes(_exactly(connection, 8), "little")
    if not pid:
        connection.close()
        return None, 0
    return connection, pid


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = connection.recv(size - len(content))
        if not more:
            raise RuntimeError("the other side of the fork server's connection has gone")
        content += more
    return content


def serve(address: str) -> None:
    """Fork what is asked for until whoever started this process is gone."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    os.write(1, b"1")
    os.dup2(2, 1)
    for name in (*ENTRIES.values(), *IMPORTED):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a thread would be missing in what is forked"
    gc.freeze()
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    waiting: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for file in (listener, woken, 0):
            selector.register(file, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if 0 in ready:
                return
            if woken in ready:
                os.read(woken, 4096)
                _tell_ends(waiting)
            if listener in ready:
                connection, _ = listener.accept()
                if pid := _served(connection):
                    waiting[pid] = connection


def _served(connection: socket.socket) -> int:
    """The process forked for one request; 0 where a forked one would not be what was asked for."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    request = json.loads(_exactly(connection, int.from_bytes(head, "little")))
    pid = _fork_here(request, files) if _read_at_start(request["env"]) == _read_at_start(os.environ) else 0
    for file in files:
        os.close(file)
    connection.sendall(pid.to_bytes(8, "little"))
    return pid


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith(READ_AT_START) and k not in FREE}


def _tell_ends(waiting: dict[int, socket.socket]) -> None:
    """Reap who has ended, and tell who waits for it, where anybody does."""
    for pid in list(waiting):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with waiting.pop(pid) as connection, suppress(OSError):
                connection.sendall(str(status).encode())


_forked = False


def _may_fork() -> bool:
    """Whether this process is one of the server's, and has one thread: then it forks its own children."""
    return _forked and threading.active_count() == 1


def _fork_here(request: Mapping[str, Any], files: list[int], preexec: Callable[[], None] | None = None) -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # until the child is what it shall be
    pid = os.fork()
    if not pid:
        try:
            _become(request, files)
            if preexec is not None:
                preexec()
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        _end_as_python_does(importlib.import_module(ENTRIES[request["args"][2]]).main)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Make of this process what a started one would be."""
    global _forked
    _forked = True
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kept = [os.dup(file) for file in files]
    for number, file in enumerate(kept):
        os.dup2(file, number)
    os.closerange(3, 1 + max(int(file.name) for file in Path("/proc/self/fd").iterdir()))
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for stream in (sys.stdout, sys.stderr):
        line = unbuffered or stream is sys.stderr or stream.isatty()
        stream.reconfigure(line_buffering=line, write_through=unbuffered)  # type: ignore[union-attr]
    name = importlib.util.find_spec(ENTRIES[request["args"][2]]).origin  # type: ignore[union-attr]
    sys.argv[:] = [str(name), *request["args"][3:]]
    subprocess.Popen = Popen  # type: ignore[misc]
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def _end_as_python_does(main: Callable[[], None]) -> NoReturn:
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does at its end
    atexit._run_exitfuncs()
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    import tests.fork_server  # the same module that forked processes import, not this `__main__`

    tests.fork_server.serve(sys.argv[1])
