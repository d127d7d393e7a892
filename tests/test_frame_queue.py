"""The queue between the drive and the writing process."""

import os

import pytest

from get_data.recording.frame_queue import FrameQueue, FrameQueueReader


def queue_and_reader(slots=3, item_bytes=16):
    queue = FrameQueue(slots=slots, item_bytes=item_bytes)
    reader = FrameQueueReader(queue.handle)
    return queue, reader


def items(reader):
    return [(bytes(head), bytes(body)) for head, body in one_by_one(reader)]


def one_by_one(reader):
    """Each item, released when the next one is asked for."""
    for batch in reader.batches():
        for item in batch:
            yield item
            reader.release()


def test_what_was_put_comes_out_in_order_until_the_end():
    queue, reader = queue_and_reader()
    assert queue.put(b"h1", b"body 1")
    assert queue.put(b"h2", memoryview(b"body 2"))
    queue.close()
    assert items(reader) == [(b"h1", b"body 1"), (b"h2", b"body 2")]


def test_a_full_queue_refuses_and_takes_again_when_there_is_room():
    queue, reader = queue_and_reader(slots=2)
    assert queue.put(b"1", b"")
    assert queue.put(b"2", b"")
    assert not queue.put(b"3", b"")
    taking = one_by_one(reader)
    next(taking)
    assert not queue.put(b"3", b"")  # the first is still being looked at
    next(taking)
    assert queue.put(b"4", b"")


def test_slots_are_used_again_without_mixing_items():
    queue, reader = queue_and_reader(slots=2)
    taking = one_by_one(reader)
    for number in range(20):
        assert queue.put(str(number).encode(), b"x" * (number % 10))
        head, body = next(taking)
        assert (bytes(head), len(body)) == (str(number).encode(), number % 10)


def test_an_item_too_large_is_refused_loudly():
    queue, _ = queue_and_reader(item_bytes=4)
    with pytest.raises(ValueError, match="too large for this queue"):
        queue.put(b"head", b"body")


def test_a_reader_that_is_gone_refuses():
    queue, _ = queue_and_reader()
    os.close(queue.handle.pipe_fd)
    assert not queue.put(b"1", b"")


def test_counters_are_seen_on_the_other_side():
    queue, reader = queue_and_reader()
    reader.counters.written = 7
    reader.publish_counters()
    assert queue.counters.written == 7


def test_a_reader_that_keeps_up_has_one_slot_filled_again_and_again():
    queue, reader = queue_and_reader(slots=5)
    batches = reader.batches()
    for _ in range(10):
        assert queue.put(b"h", b"the body")
        assert len(next(batches)) == 1
        reader.release()
    memory = os.pread(queue.handle.memory_fd, 10_000, 0)
    assert memory.count(b"the body") == 1


def test_counters_never_go_back_for_whoever_looks_while_they_change():
    queue, reader = queue_and_reader()
    child = os.fork()
    if not child:
        for _ in range(200_000):
            reader.release()
        os._exit(0)
    seen = [0]
    while seen[-1] < 200_000:
        seen.append(queue.counters.taken)
    os.waitpid(child, 0)
    assert seen == sorted(seen)
