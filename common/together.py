"""A few requests at the same time, where one after the other would be a round trip each."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


def run_together(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Call two functions at the same time, wait for both, and return their results.

    The second one runs in a thread. If both fail, the error of the first one is raised.
    """
    other: Future[Second] = Future()

    def run() -> None:
        try:
            other.set_result(second())
        except BaseException as error:  # noqa: BLE001  raised by `result`
            other.set_exception(error)

    # a daemon: Ctrl-C must not wait for a server that does not answer
    threading.Thread(target=run, daemon=True).start()
    try:
        found = first()
    except Exception:
        other.exception()  # waits
        raise
    return found, other.result()
