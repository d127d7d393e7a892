"""Child processes that run a module of the toolkit beside their parent.

    child = start_process("car.motors.guard", conf, name="the guard", stdin=subprocess.PIPE)

The child calls `report_ready()` once it can work. A child that cannot start writes the reason as
the last line on stderr and exits. Children do not receive the signals of the parent's terminal.
"""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_READY = b"ready\n"
_STDOUT = 1
_ROOT = Path(__file__).resolve().parents[1]


class ChildFailed(Exception):
    """A child process that did not start; the message is the last line of its stderr."""


def start_process(
    module: str,
    argument: str,
    *,
    name: str,
    inherited_fds: tuple[int, ...] = (),
    stdin: int = subprocess.DEVNULL,
    timeout_s: float | None = None,
) -> "subprocess.Popen[bytes]":
    """Run a module as a child process and wait until it is ready.

    `name` is what messages call the child; `inherited_fds` stay open in it.

    Raises:
        ChildFailed: the child exited, or was not ready in time and was killed.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, argument],
        cwd=_ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=inherited_fds,
        start_new_session=True,
    )
    try:
        _wait_until_ready(child, name, timeout_s)
    except BaseException:  # also Ctrl-C
        child.kill()
        child.communicate()
        raise
    return child


def report_ready() -> None:
    """Tell the parent that this child process is ready.

    The line does not pass through `sys.stdout`, so that nothing stays in a buffer. A parent that
    has died meanwhile is no error here: the child notices when its input ends.
    """
    with suppress(BrokenPipeError):
        os.write(_STDOUT, _READY)


def _wait_until_ready(child: "subprocess.Popen[bytes]", name: str, timeout_s: float | None) -> None:
    """Wait for the child's `report_ready()`.

    Raises:
        ChildFailed: the child exited first, or the time is up.
    """
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], timeout_s)[0]:
        raise ChildFailed(f"{name} is not ready after {timeout_s:g} s")
    if child.stdout.readline() != _READY:
        raise ChildFailed(end_process(child, name=name))


def end_process(
    child: "subprocess.Popen[bytes]", *, name: str, timeout_s: float | None = None
) -> str:
    """Close the child's stdin, wait until it exits, and return the last line of its stderr.

    Raises:
        subprocess.TimeoutExpired: the child still runs.
    """
    _, stderr = child.communicate(timeout=timeout_s)
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"{name} ended with {child.returncode}"
