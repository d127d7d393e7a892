"""The process that judges the labels by the pictures, and nothing else.

Started by `model.py`, never by hand; it exits when the server does. It reads a request from stdin
and writes progress and judgement to stdout.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads would only wait

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from common.child_process import report_ready
from common.progress import Item
from get_data.labelizer.model_wire import (
    Judgement,
    Lateness,
    Message,
    Progress,
    Request,
    to_bytes,
    to_line,
)
from get_data.quality.delay import estimate_delay
from get_data.quality.jumps import find_jumps
from get_data.quality.suspicion import find_suspects
from get_data.quality.thumbnails import read_thumbnails

_NICENESS = 10  # the server answers the page first
_PERIOD_S = 0.3  # between two reports of progress


def main() -> int:
    """Run the process and return its exit code."""
    _lower_priority()
    report_ready()
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_exit_with_server, daemon=True).start()
    _send(_judge(request))
    return 0


def _lower_priority() -> None:
    """Let server and browser go first, where the system permits it."""
    with suppress(OSError):
        os.nice(_NICENESS)
    # Linux shares the processors among sessions, and this process has one of its own: within it
    # alone the line above does nothing (sched(7), "The autogroup feature")
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")


def _exit_with_server() -> None:
    """Wait until stdin ends, which it does when the server is killed, and exit."""
    # not through `sys.stdin`, whose lock this thread would hold while the interpreter shuts down:
    # that aborts the process, and hides why a judgement failed
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _judge(request: Request) -> Judgement:
    samples = request.samples
    thumbnails = read_thumbnails(Path(os.fsdecode(request.folder)), samples, _report)
    suspicion = find_suspects(samples, thumbnails)
    return Judgement(
        score=to_bytes(suspicion.score, "<f4"),
        predicted=to_bytes(suspicion.predicted, "<f4"),
        order=to_bytes(suspicion.order, "<i8"),
        clips=[(int(first), int(last)) for first, last in suspicion.clips],
        wrong=find_jumps(samples, suspicion.predicted).tolist(),
        drives=[
            Lateness(delay.pictures, delay.reason)
            for delay in estimate_delay(samples, thumbnails).drives
        ],
    )


def _report(
    items: Iterable[Item], *, total: int | None, description: str, unit: str
) -> Iterator[Item]:
    """Yield the items and report how many there were."""
    del description, unit
    due = 0.0
    for done, item in enumerate(items):
        yield item
        if total is not None and time.monotonic() >= due:
            _send(Progress(done + 1, total))
            due = time.monotonic() + _PERIOD_S


def _send(message: Message) -> None:
    sys.stdout.buffer.write(to_line(message))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    raise SystemExit(main())
