"""Long work in pieces: how large, and how many at once."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

BATCH = 1000  # as many as S3 lists at once
THREADS = 64  # pictures on their way at once: far servers need many, near ones do not mind


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@contextmanager
def working(threads: Executor) -> Iterator[Executor]:
    """The threads, which begin nothing more when the block fails or is interrupted."""
    with threads:
        try:
            yield threads
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
