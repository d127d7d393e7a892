"""Signals that stop a script, and Ctrl-C during its imports: one line and exit code 130.

The imports of a script take most of its first second. Nothing is open or half done then, so the
process can exit at once. An exception instead might be swallowed by the code that is importing.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.early_signals import exit_on_signal

try:
    import fcntl  # noqa: F401  imported first: locks, pads and the drive need it
except ImportError:
    raise SystemExit(
        "error: Windows is not supported; run this in WSL, or on Linux or macOS"
    ) from None

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAKING = signal.SIGURG  # unused, and ignored where it has no handler


@contextmanager
def exit_while_importing() -> Iterator[None]:
    """Exit at once on a stop signal while the block imports what a script needs.

    In another thread than the main one, which gets no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    exit_on_signal()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def wake_main_thread() -> Iterator[None]:
    """Wake the main thread when a stop signal arrives during the block.

    Python runs handlers in the main thread, but a signal that the kernel has given to another
    thread does not end what the main one waits for.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    main_thread = threading.get_ident()  # set_wakeup_fd() accepts no other

    def wake() -> None:
        while number := os.read(reading, 1)[0]:
            if number in STOP_SIGNALS:
                signal.pthread_kill(main_thread, _WAKING)

    fd_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handler_before = signal.signal(_WAKING, lambda _number, _frame: None)
    thread = threading.Thread(target=wake, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd_before)
        signal.signal(_WAKING, handler_before)
        os.write(writing, b"\0")  # no end of file: a forked process may still be able to write
        thread.join()
        os.close(reading)
        os.close(writing)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Delay the delivery of stop signals until the block ends. For the main thread only."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: received.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
