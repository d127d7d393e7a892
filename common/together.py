"""A few requests at the same time, where one after the other would be a round trip each."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")
First = TypeVar("First")
Second = TypeVar("Second")


class _Task(Generic[Result]):
    """A call in a thread of its own."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._results: list[Result] = []
        self._error: BaseException | None = None
        # a daemon: Ctrl-C must not wait for a server that does not answer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001  raised by `result`
            self._error = error

    def wait(self) -> None:
        """Wait for the end of the call."""
        self._thread.join()

    def result(self) -> Result:
        """Wait for the end of the call, and return or raise what it did."""
        self._thread.join()
        if self._error:
            raise self._error
        return self._results[0]


def run_together(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Call two functions at the same time, wait for both, and return their results.

    If both fail, the error of the first one is raised.
    """
    other = _Task(second)
    try:
        found = first()
    except Exception:
        other.wait()
        raise
    return found, other.result()
