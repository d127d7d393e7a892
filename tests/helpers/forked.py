"""Python processes that cost little to start: forked from one that has imported the libraries.

    subprocess.run([sys.executable, "get_data/upload_data.py", folder])

After `install()`, which conftest.py calls, such a process is forked. It is a child of this one with
a process id of its own, runs the script in a `__main__` of its own, and imports all modules of the
toolkit itself; only libraries have been imported before, and all have one hash seed. What a fork
would not do as a new interpreter does is started as one: interpreter options, other variables that
are read at a start, other rights, limits of memory. So is everything in `new_interpreters()`, for
tests whose subject is the start itself: the marker `new_interpreter`.
"""

import array
import atexit
import ctypes
import inspect
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

_SERVER = Path(__file__).with_name("fork_server.py")
_ROOT = Path(__file__).resolve().parents[2]
_NewInterpreter = subprocess.Popen
_EXECUTABLE = sys.executable  # a test may set another
_ARGUMENTS = inspect.getfullargspec(_NewInterpreter._execute_child).args[1:]

_READ_AT_START = (
    *("GLIBC_", "LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "TZ"),
    *("MKL_", "NPY_", "NUMPY_", "OMP_", "OPENBLAS_", "OPENCV_", "TQDM_"),
)
_OWN_PATH = "PYTHONPATH"  # which a forked process reads itself
_NOT_READ_AT_START = {
    _OWN_PATH,
    "LD_LIBRARY_PATH",  # set by OpenCV in this process, once it is imported
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT",  # set by our webcam, read with its first picture
}
_RIGHTS = ("Cap", "Cpus_allowed", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Uid")
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_LIMITS_OF_MEMORY = {resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK}
_HAVE_CHILDREN = {"run_labelizer.py", "run_manual.py", "tests.fakes.broken_drive"}
_WITHOUT_THREADS = {  # which a fork would lose
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow
    "OPENBLAS_NUM_THREADS": "1",
}
_SPACE = " " * 10_000  # for the command lines of the forked processes
_PR_SET_CHILD_SUBREAPER = 36
_MAX_ANSWER_BYTES = 1 << 16


class Popen(_NewInterpreter):
    """A `subprocess.Popen` that forks a Python process where a fork does the same."""

    def _execute_child(self, *values: Any) -> None:
        given = SimpleNamespace(**dict(zip(_ARGUMENTS, values, strict=True)))
        request = _request(given)
        if request is None:
            super()._execute_child(*values)
            return
        streams = (given.p2cread, given.c2pwrite, given.errwrite)
        inherited = (own if stream == -1 else stream for own, stream in enumerate(streams))
        self.pid = _server().start(request, [*inherited, *given.pass_fds])
        self._child_created = True
        self._close_pipe_fds(
            *(given.p2cread, given.p2cwrite, given.c2pread, given.c2pwrite),
            *(given.errread, given.errwrite),
        )


@dataclass(frozen=True)
class Inheritance:
    """What processes inherit from this one and a fork server cannot change for them."""

    variables: dict[str, str]
    rights: dict[str, str]
    limits: dict[int, tuple[int, int]]
    priority: tuple[int, int]

    @classmethod
    def now(cls, variables: Mapping[str, str]) -> "Inheritance":
        """Return that of a process that would be started now with these variables."""
        return cls(
            {name: text for name, text in variables.items() if _is_read_at_start(name)},
            {name: text for name, text in _status().items() if name.startswith(_RIGHTS)},
            {limit: resource.getrlimit(limit) for limit in _LIMITS_OF_MEMORY},
            _priority(),
        )


class Server:
    """The connection to a fork server."""

    def __init__(
        self, connection: socket.socket, inheritance: Inheritance, libraries: Collection[str]
    ) -> None:
        self.pid = os.getpid()
        self.inheritance = inheritance
        self.libraries = frozenset(libraries)
        self._connection = connection
        self._lock = Lock()

    def start(self, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Return the id of a new process; it gets the descriptors of its streams and its `fds`.

        Raises:
            OSError: it cannot enter its folder.
        """
        reading, writing = os.pipe()
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        fds = array.array("i", [writing, folder, *descriptors])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
        with open(reading, "rb", buffering=0) as answers, self._lock, _adopting():  # noqa: PTH123
            try:
                self._connection.sendmsg([json.dumps(request).encode()], ancillary)
            finally:
                os.close(writing)
                os.close(folder)
            answer = json.loads(answers.read(_MAX_ANSWER_BYTES))
        pid: int = answer["pid"]
        if error := answer["error"]:
            os.waitpid(pid, 0)
            raise OSError(error, os.strerror(error), request["folder"])
        return pid


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what the fork server leaves behind while the block runs."""
    assert _adopt(is_on=True)
    try:
        yield
    finally:
        _adopt(is_on=False)


def _adopt(*, is_on: bool) -> bool:
    """Become a subreaper or none; return whether the kernel knows that, which QEMU's does not."""
    failed: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(is_on))
    return not failed


_variables: dict[str, str] = {}  # of a server that is started later
_servers: list[Server] = []  # at most one


def install(server: Server | None = None) -> None:
    """Let `subprocess` fork Python processes from now on.

    Without a server, one is started when it is needed, with the variables of now. Where the kernel
    does not let this process adopt others, as on an emulated processor, nothing is forked.
    """
    if not _adopt(is_on=False):
        return
    if server is None:
        _variables.update(os.environ)
    else:
        _servers.append(server)
    subprocess.Popen = Popen


@contextmanager
def new_interpreters() -> Iterator[None]:
    """Start new interpreters while the block runs."""
    before, subprocess.Popen = subprocess.Popen, _NewInterpreter
    try:
        yield
    finally:
        subprocess.Popen = before


def _server() -> Server:
    """Return the server of this process; the first call starts it."""
    if not _servers:
        connection, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        variables = {name: text for name, text in _variables.items() if name != _OWN_PATH}
        with its:
            process = _NewInterpreter(
                [sys.executable, str(_SERVER), str(its.fileno()), _SPACE],
                env=variables | _WITHOUT_THREADS,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        libraries = json.loads(connection.recv(_MAX_ANSWER_BYTES))
        atexit.register(process.wait)
        atexit.register(connection.shutdown, socket.SHUT_RDWR)
        _servers.append(Server(connection, Inheritance.now(_variables), libraries))
    return _servers[0]


def _request(given: SimpleNamespace) -> dict[str, Any] | None:
    """Return what a process shall be; None if it has to be a new interpreter."""
    options = (given.preexec_fn, given.executable, given.gid, given.gids, given.uid)
    if given.shell or not given.close_fds or any(option is not None for option in options):
        return None
    if not isinstance(given.args, list | tuple):
        return None
    match [os.fsdecode(argument) for argument in given.args]:
        case [path, "-c" | "-m", _, *_] as command if path == _EXECUTABLE:
            pass
        case [path, script, *_] as command if path == _EXECUTABLE and not script.startswith("-"):
            pass
        case _:
            return None
    arguments = command[1:]
    variables = _environment() if given.env is None else given.env
    environment = {os.fsdecode(name): os.fsdecode(text) for name, text in variables.items()}
    server = _server()
    if server.pid != os.getpid() or server.inheritance != Inheritance.now(environment):
        return None
    if server.libraries & _top_level_names(environment.get(_OWN_PATH, "")):
        return None  # a fake of one of them
    status = _status()
    return {
        "arguments": arguments,
        "environment": environment,
        "fds": list(given.pass_fds),
        "folder": None if given.cwd is None else os.fsdecode(given.cwd),
        "session": given.start_new_session,
        "group": given.process_group,
        "umask": int(status["Umask"], 8) if given.umask < 0 else given.umask,
        "limits": [(limit, resource.getrlimit(limit)) for limit in _LIMITS],
        "blocked": _signals(status["SigBlk"]),
        "ignored": _signals(status["SigIgn"]),
        "has_children": Path(arguments[arguments[0] == "-m"]).name in _HAVE_CHILDREN,
    }


def _environment() -> dict[bytes, bytes]:
    """Return the environment of this process, in which libraries set more than Python knows."""
    entries = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    found = {}
    for entry in entries:
        if entry is None:
            return found
        name, _, text = entry.partition(b"=")
        found[name] = text
    raise AssertionError


def _priority() -> tuple[int, int]:
    """Return the scheduling policy and the niceness that a child of this thread gets."""
    policy = os.sched_getscheduler(0)
    is_reset = policy & os.SCHED_RESET_ON_FORK
    return os.SCHED_OTHER if is_reset else policy, os.getpriority(os.PRIO_PROCESS, 0)


def _is_read_at_start(name: str) -> bool:
    return name.startswith(_READ_AT_START) and name not in _NOT_READ_AT_START


def _status() -> dict[str, str]:
    """Return what the kernel tells about this thread."""
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def _signals(mask: str) -> list[int]:
    bits = int(mask, 16)
    return [number for number in range(1, signal.NSIG) if bits >> (number - 1) & 1]


def _top_level_names(python_path: str) -> set[str]:
    """Return the names that can be imported from these folders, the toolkit's own left out."""
    folders = {Path(folder) for folder in python_path.split(os.pathsep) if folder} - {_ROOT}
    files = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    return {file.name.partition(".")[0] for file in files}
