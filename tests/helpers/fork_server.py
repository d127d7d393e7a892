"""The process that forks Python processes for `forked`, and what each of them does first.

    python tests/helpers/fork_server.py DESCRIPTOR SPACE

It has imported the libraries of the toolkit, which are most of what a start costs, and none of the
toolkit's modules: a forked process imports those itself, as any other does. It is a child of the
process that asked for it, and gets its own arguments, environment, streams, folder and signals.
"""

import array
import atexit
import builtins
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import resource
import runpy
import signal
import socket
import sys
import tempfile
import threading
import types
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from itertools import pairwise
from pathlib import Path

import forked  # beside this file

ROOT = Path(__file__).resolve().parents[2]
MAX_REQUEST_BYTES = 1 << 20
MAX_DESCRIPTORS = 64
OURS = {"car", "common", "get_data", "path", "tests"}

# Imported by functions of the toolkit and of Django when they are needed, or by child processes.
ALSO = (
    "boto3",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.storage",
    "django.middleware.clickjacking",
    "django.middleware.common",
    "django.middleware.csrf",
    "django.middleware.security",
    "elastic_transport",
    "get_data.labelizer.model_process",
    "get_data.labelizer.server",
    "get_data.live.view_server",
    "get_data.recording.writer",
    "numpy.random",
    "obstore.store",
    "whitenoise.middleware",
)

_FIRST_FREE = 1000  # no descriptor that is passed on has so high a number
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


class Request:
    """A process to be: the client's JSON, and the descriptors that came with it.

    They are for the answer, the current folder, stdin, stdout, stderr and `fds`, in this order.
    """

    def __init__(self, content, descriptors):
        self.content = content
        self.answer, self.folder, *self.others = descriptors

    def reply(self, error=0):
        """Answer the client."""
        os.write(self.answer, json.dumps({"pid": os.getpid(), "error": error}).encode())
        os.close(self.answer)


def import_libraries():
    """Import all libraries of the scripts, and forget the modules of the toolkit."""
    sys.path.insert(0, str(ROOT))
    scripts = (f"get_data.commands.{f.stem}" for f in (ROOT / "get_data" / "commands").glob("*.py"))
    for name in (*scripts, *ALSO):
        importlib.import_module(name)
    sys.path.remove(str(ROOT))
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a library has started threads"
    gc.collect()
    gc.freeze()


def serve(connection):
    """Fork a process for each request and return the request in it; return None at the end.

    The process between exits at once, so that its child becomes one of the client, which is a
    subreaper until it has the answer.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its client
    while True:
        data, descriptors = _receive(connection)
        if not data:
            return None
        reading, writing = os.pipe()
        if not (between := os.fork()):
            if os.fork():
                os._exit(0)
            os.close(writing)
            os.read(reading, 1)  # until the process between has been reaped
            os.close(reading)
            connection.close()
            return Request(json.loads(data), descriptors)
        os.waitpid(between, 0)
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def _receive(connection):
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(MAX_DESCRIPTORS * descriptors.itemsize)
    data, ancillary, _, _ = connection.recvmsg(MAX_REQUEST_BYTES, space)
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    return data, list(descriptors)


def enter(request):
    """Enter the requested folder, session and process group; exit with an answer if it fails."""
    content = request.content
    try:
        os.fchdir(request.folder)
        if content["folder"] is not None:
            os.chdir(content["folder"])
        if content["session"]:
            os.setsid()
        if content["group"] >= 0:
            os.setpgid(0, content["group"])
    except OSError as error:
        request.reply(error.errno)
        os._exit(1)


def fork_server():
    """Fork a server for the children of this process.

    Returns:
        The client's end of the connection, or None and the server's end in the server.
    """
    clients, servers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        servers.close()
        return clients, None
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    clients.close()
    _close_all_but({0, 1, 2, servers.fileno()})
    return None, servers


def become(request, connection):
    """Turn this process into the requested one, and answer; return the connection."""
    content = request.content
    places = (0, 1, 2, *content["fds"])
    given = [request.answer, *request.others, *([connection.detach()] if connection else [])]
    given = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for each in given]
    request.answer = given[0]
    for descriptor, place in zip(given[1:], places, strict=not connection):
        os.dup2(descriptor, place)
    kept = {given[0], *places}
    if connection:
        kept.add(given[-1])
        connection = socket.socket(fileno=given[-1])
    _close_all_but(kept)
    os.umask(content["umask"])
    for limit, values in content["limits"]:
        if list(resource.getrlimit(limit)) != values:
            resource.setrlimit(limit, values)
    os.environ.clear()
    os.environ.update(content["environment"])
    tempfile.tempdir = None
    sys.modules["numpy"].random.seed()
    _open_streams()
    _set_signals(content["ignored"], content["blocked"])
    request.reply()
    return connection


def _close_all_but(kept):
    for before, after in pairwise([*sorted(kept), os.sysconf("SC_OPEN_MAX")]):
        if after > before + 1:
            os.closerange(before + 1, after)


def _open_streams():
    """Open the standard streams as Python does."""
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        inherited = getattr(sys, f"__{name}__")
        mode = "r" if name == "stdin" else "w"
        unbuffered = is_unbuffered and mode == "w"
        try:
            binary = os.fdopen(number, f"{mode}b", 0 if unbuffered else -1, closefd=False)
            (binary if unbuffered else binary.raw).name = f"<{name}>"
        except OSError:
            stream = None
        else:
            stream = io.TextIOWrapper(
                binary,
                inherited.encoding,
                inherited.errors,
                newline="\n",
                line_buffering=not is_unbuffered and (name == "stderr" or binary.isatty()),
                write_through=unbuffered,
            )
            stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _set_signals(ignored, blocked):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        is_ignored = number in ignored or number in _IGNORED_BY_PYTHON
        signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    if signal.SIGINT not in ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _show_command_line(arguments):
    """Write them to where the kernel reads /proc/self/cmdline: over those of the server."""
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    text = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)[: end - start - 1]
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


def run(request, search_path):
    """Run script, module or code as Python does."""
    kind, *arguments = request.content["arguments"]
    sys.orig_argv = [sys.executable, kind, *arguments]
    _show_command_line(sys.orig_argv)
    own_path = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    own_path = [os.path.abspath(folder) for folder in own_path]  # noqa: PTH100  as site does
    sys.path[:] = [*own_path, *search_path]
    if any(Path(folder, "sitecustomize.py").exists() for folder in own_path):
        importlib.import_module("sitecustomize")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = builtins
    match kind:
        case "-m":
            name, *arguments = arguments
            sys.argv = ["-m", *arguments]
            sys.path.insert(0, str(Path.cwd()))
            sys.modules.pop(name, None)
            runpy._run_module_as_main(name)
        case "-c":
            code, *arguments = arguments
            sys.argv = ["-c", *arguments]
            sys.path.insert(0, "")
            exec(compile(code, "<string>", "exec"), vars(main))
        case script:
            sys.argv = [script, *arguments]
            sys.path.insert(0, str(Path(script).resolve().parent))
            try:
                text = Path(script).read_bytes()
            except OSError as error:
                place, reason = os.path.abspath(script), f"[Errno {error.errno}] {error.strerror}"  # noqa: PTH100
                sys.stderr.write(f"{sys.executable}: can't open file {place!r}: {reason}\n")
                sys.exit(2)
            main.__file__ = script
            main.__loader__ = SourceFileLoader("__main__", script)
            main.__cached__ = None
            exec(compile(text, script, "exec"), vars(main))


def exit_code(request, search_path):
    """Run what was requested; return its exit code after printing what Python prints of it."""
    try:
        run(request, search_path)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException as error:  # noqa: BLE001
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def end(code):
    """End as Python does, but leave the libraries as they are: to free them takes long."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # which says so
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {*OURS, "__main__"}:
            vars(module).clear()
    gc.collect()
    for stream in filter(None, (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
        with suppress(OSError, ValueError):
            stream.flush()  # what was written to the real streams, and by objects that were left
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


def main():
    """Serve; in a forked process, run what was requested."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    search_path = sys.path[1:]
    import_libraries()
    sys.modules.pop("sitecustomize", None)  # Debian's, which is not ours to keep from a test
    libraries = {name.partition(".")[0] for name in sys.modules}
    connection.send(json.dumps(sorted(libraries)).encode())
    own = None
    while (request := serve(connection)) is not None:
        enter(request)
        if not request.content["has_children"]:
            break
        own, connection = fork_server()
        if own:
            break
    else:
        os._exit(0)
    if own := become(request, own):
        forked.install(forked.Server(own, forked.Inheritance.now(os.environ), libraries))
    end(exit_code(request, search_path))


if __name__ == "__main__":
    main()
