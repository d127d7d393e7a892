"""Workers: threads that share queues of work."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from common.batching import batches, open_workers
from tests.helpers.waiting import HANGS_S, wait_until


def test_each_item_is_worked_on_once():
    done = []
    with open_workers(ThreadPoolExecutor, 4) as workers:
        workers.for_each(done.append, range(1000))
    assert sorted(done) == list(range(1000))


def test_threads_that_find_a_queue_empty_go_on_with_the_next_one():
    """No pause between batches: the last item of one holds up none of the other."""
    is_second_done = threading.Event()
    waited = []
    with open_workers(ThreadPoolExecutor, 2) as workers, ThreadPoolExecutor(2) as callers:
        first = callers.submit(
            workers.for_each, lambda _: waited.append(is_second_done.wait(HANGS_S)), [1]
        )
        second = callers.submit(workers.for_each, lambda _: None, range(100))
        second.result()
        is_second_done.set()
        first.result()
    assert waited == [True]


class OneAfterTheOther(Executor):
    """Threads of which each begins when the one before has ended, however it did."""

    def map(self, work, *numbers):
        futures = [Future() for _ in zip(*numbers, strict=True)]
        for future in futures:
            try:
                future.set_result(work(0))
            except ValueError as error:
                future.set_exception(error)
        return (future.result() for future in futures)


def test_nothing_more_is_begun_once_a_call_has_failed():
    begun = []

    def fail_first(item):
        begun.append(item)
        if item == 0:
            raise ValueError(item)

    with (
        open_workers(lambda _: OneAfterTheOther(), 2) as workers,
        pytest.raises(ValueError, match="0"),
    ):
        workers.for_each(fail_first, range(10))
    assert begun == [0]


def test_an_interruption_lets_what_has_begun_end_and_begins_nothing_more():
    begun, ended = [], []
    is_interrupted = threading.Event()

    def work(item):
        begun.append(item)
        is_interrupted.wait(HANGS_S)
        ended.append(item)

    def interrupted():
        with ThreadPoolExecutor(1) as caller, open_workers(ThreadPoolExecutor, 2) as workers:
            caller.submit(workers.for_each, work, range(1000))
            wait_until(lambda: len(begun) == 2)
            stop = workers.stop
            workers.stop = lambda: (stop(), is_interrupted.set())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(begun) == 2
    assert sorted(ended) == sorted(begun)


def test_batches_have_the_size_asked_for_but_for_the_last():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
