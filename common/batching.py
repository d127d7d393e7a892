"""Batches of work: how large, and how many requests at once."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

BATCH_SIZE = 1000  # as many keys as S3 lists in one response
THREADS = 64  # concurrent picture transfers: a distant server needs many, a near one does not mind


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
