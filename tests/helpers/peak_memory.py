"""Peaks of Python's memory, in a process of its own, where no other test's threads take any."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import path

_MEASURED = """
import sys, tracemalloc
exec(sys.argv[1])
for argument in sys.argv[2:]:
    tracemalloc.start()
    use(argument)
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def peaks(code: str, *arguments: str | Path) -> list[int]:
    """Return how many bytes `use(argument)`, as `code` defines it, needs for each argument.

    A test that calls it is marked `new_interpreter`.
    """
    command = [sys.executable, "-c", _MEASURED, dedent(code), *map(str, arguments)]
    ended = subprocess.run(command, cwd=path.ROOT, capture_output=True, text=True, check=True)
    return [int(line) for line in ended.stdout.split()]
