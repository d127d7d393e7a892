"""Python processes of our own that work beside the one that starts them.

    child = child_process.started("car.motors.guard", conf, name="the guard", stdin=subprocess.PIPE)

A child says "ready" on standard output once it can work, and why it cannot in the last line on
standard error. The terminal's signals are not for it.
"""

import select
import subprocess
import sys
from pathlib import Path

_READY = b"ready\n"
_ROOT = Path(__file__).resolve().parents[1]


class ChildFailed(Exception):
    """A child did not start; the message is the last it said."""


def started(
    module: str,
    argument: str,
    *,
    name: str,
    inherited: tuple[int, ...] = (),
    stdin: int = subprocess.DEVNULL,
    within_s: float | None = None,
) -> "subprocess.Popen[bytes]":
    """The module runs as a process that is ready to work.

    `name` is what a message calls it, `inherited` are descriptors that it needs.

    Raises: ChildFailed when it ends before, or is not ready within that time.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, argument],
        cwd=_ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=inherited,
        start_new_session=True,
    )
    try:
        _wait_until_ready(child, name, within_s)
    except BaseException:  # also Ctrl-C
        child.kill()
        child.communicate()
        raise
    return child


def _wait_until_ready(child: "subprocess.Popen[bytes]", name: str, within_s: float | None) -> None:
    """Raises: ChildFailed."""
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], within_s)[0]:
        raise ChildFailed(f"{name} is not ready after {within_s:g} s")
    if child.stdout.readline() != _READY:
        raise ChildFailed(last_words(child, name=name))


def last_words(
    child: "subprocess.Popen[bytes]", *, name: str, within_s: float | None = None
) -> str:
    """The child's input has ended, and so has the child; returns the last line it said.

    Raises: subprocess.TimeoutExpired.
    """
    _, said = child.communicate(timeout=within_s)
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"{name} ended with {child.returncode}"
