"""Batches of work, and threads that share it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

BATCH_SIZE = 1000  # as many keys as S3 lists in one response
THREADS = 64  # concurrent requests for a few pictures: a distant server needs many


def batches(items: Iterable[Item], size: int = BATCH_SIZE) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`; the last one may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@contextmanager
def cancel_on_error(executor: Executor) -> Iterator[Executor]:
    """Cancel the executor's pending tasks when the block fails or is interrupted."""
    with executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


class Workers:
    """Threads that take items from queues: one after the other, without a pause in between.

    A future per item would cost more than the work on it that Python does.
    """

    def __init__(self, executor: Executor, count: int) -> None:
        self._executor = executor
        self._count = count
        self._is_stopped = False

    def for_each(self, function: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Call the function with each item, and return when all calls have.

        May be called by several threads: whoever finds a queue empty goes on with the next one.

        Raises:
            Exception: a call raised it; no further item of this queue was begun.
        """
        queue = deque(items)

        def work(_: int) -> None:
            while queue and not self._is_stopped:
                try:
                    item = queue.popleft()
                except IndexError:  # another thread was faster
                    return
                try:
                    function(item)
                except BaseException:
                    queue.clear()
                    raise

        for _ in self._executor.map(work, range(min(self._count, len(queue)))):
            pass

    def stop(self) -> None:
        """Begin no further item."""
        self._is_stopped = True


@contextmanager
def open_workers(threads: Callable[[int], Executor], count: int) -> Iterator[Workers]:
    """Open so many workers; they stop when the block fails or is interrupted."""
    with cancel_on_error(threads(count)) as executor:
        workers = Workers(executor, count)
        try:
            yield workers
        except BaseException:
            workers.stop()
            raise
