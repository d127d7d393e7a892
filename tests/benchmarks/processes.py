"""A script as a whole process: how long it takes, how much processor time, how much memory."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import path


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took."""

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str


def run_script(script: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Runs one of our scripts to its end. Raises: CalledProcessError unless it exits with 0."""
    command = [sys.executable, str(path.ROOT / "get_data" / script), *arguments]
    return run(command, environment)


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Runs a command to its end. Raises: CalledProcessError unless it exits with 0."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)
