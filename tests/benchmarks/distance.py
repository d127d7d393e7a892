"""Servers far away: a long wire between two network namespaces.

Clients are at its near end, servers at its far end, and each packet takes half of the round trip.
A proxy that adds latency is no such wire: it answers hand-shakes itself, and every client ends at
the limit of the proxy, so that all seem equally fast.
"""

import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.errors import ToolkitError

_SOURCE = Path(__file__).with_name("wire.c")
_NEAR, _FAR = f"patate-near-{os.getpid()}", f"patate-far-{os.getpid()}"
_ADDRESSES = {_NEAR: "10.77.0.1", _FAR: "10.77.0.2"}
_CLONE_NEWNET = 0x40000000


class NoWire(ToolkitError):
    """A machine on which no network namespace can be made."""


class Wire:
    """A wire without length yet. `far_address`: that of servers at its far end."""

    far_address = _ADDRESSES[_FAR]
    near_command: Sequence[str] = ("ip", "netns", "exec", _NEAR)  # before a client's own

    def __init__(self, delay: Path, process: "subprocess.Popen[str]") -> None:
        self._delay = delay
        self._process = process

    def set_round_trip(self, seconds: float) -> None:
        """Packets take so long, there and back together, from now on."""
        self._delay.write_text(f"{round(seconds * 1e6 / 2)}\n")
        self._process.send_signal(signal.SIGHUP)


@contextmanager
def long_wire() -> Iterator[Wire]:
    """Lay a wire; this process, and servers that it starts, are at its far end meanwhile.

    Raises:
        NoWire: that takes root, `ip`, a C compiler and /dev/net/tun.
    """
    with ExitStack() as stack:
        try:
            wire = _lay(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoWire(f"no network namespace can be made: {error}") from error
        yield wire


def _lay(stack: ExitStack) -> Wire:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    program, delay = folder / "wire", folder / "delay"
    delay.write_text("0\n")
    subprocess.run(["cc", "-O2", "-pthread", "-o", str(program), str(_SOURCE)], check=True)
    for namespace in _ADDRESSES:
        _ip("netns", "add", namespace)
        delete = ["ip", "netns", "delete", namespace]
        stack.callback(subprocess.run, delete, check=False)
    process = stack.enter_context(
        subprocess.Popen([program, _NEAR, _FAR, delay], stdout=subprocess.PIPE, text=True)
    )
    stack.callback(process.terminate)
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        raise NoWire("the wire cannot be laid")
    _set_addresses()
    stack.enter_context(_moved_to(_FAR))
    return Wire(delay, process)


def _set_addresses() -> None:
    for namespace, other in ((_NEAR, _FAR), (_FAR, _NEAR)):
        inside = ("-n", namespace)
        own, peer = _ADDRESSES[namespace], _ADDRESSES[other]
        _ip(*inside, "addr", "add", own, "peer", peer, "dev", "wire")
        _ip(*inside, "link", "set", "wire", "up", "txqueuelen", "20000")
        _ip(*inside, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def _moved_to(namespace: str) -> Iterator[None]:
    """Move this thread, and the processes that it starts, to a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as here:
        with Path("/var/run/netns", namespace).open() as there:
            if libc.setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(here.fileno(), _CLONE_NEWNET)
