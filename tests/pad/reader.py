"""A program that reads the pad as a drive does, and what it prints."""

import json
import os
import select
import time
from contextlib import suppress

from tests.helpers.waiting import HANGS_S


class Reader:
    """`tests.pi.read_pad` in a namespace, and the lines that it prints."""

    def __init__(self, process):
        self._process = process
        self._output = b""
        self.lines = []

    def wait_for(self, condition, within_s=HANGS_S):
        """Return the next line that meets the condition."""
        give_up = time.monotonic() + within_s
        while not condition(line := self._next(give_up)):
            assert time.monotonic() < give_up, f"timed out: {self.lines[-3:]}"
        return line

    def _next(self, give_up):
        """Return the next line, unbuffered: `select` does not see the buffers of Python."""
        while b"\n" not in self._output:
            left_s = max(give_up - time.monotonic(), 0)
            readable = select.select([self._process.stdout], [], [], left_s)[0]
            assert readable, f"timed out: {self.lines[-3:]}"
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, f"the reader has ended: {self.lines}"
            self._output += more
        line, _, self._output = self._output.partition(b"\n")
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def end(self):
        """Return all lines, once the reader has ended with exit code 0."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        rest = self._output + self._process.stdout.read()
        self.lines += map(json.loads, rest.splitlines())
        assert self._process.wait(HANGS_S) == 0
        return self.lines
