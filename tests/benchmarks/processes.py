"""A script as a whole process: how long it takes, how much processor time, how much memory."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import path

_LOOKS_EVERY_S = 0.005


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took."""

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str
    load: float  # of the machine, when it began


def run_script(
    script: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    via: Sequence[str] = (),
) -> Run:
    """Runs one of our scripts to its end, by the command `via` if it is to run elsewhere.

    Raises: CalledProcessError unless it exits with 0.
    """
    command = [*via, sys.executable, str(path.ROOT / "get_data" / script), *arguments]
    return run(command, environment)


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Runs a command to its end. Raises: CalledProcessError unless it exits with 0."""
    load = os.getloadavg()[0]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
        )
        peak_mb, ended = 0.0, 0
        while not ended:
            peak_mb = max(peak_mb, _peak_mb(process.pid))
            time.sleep(_LOOKS_EVERY_S)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read().decode()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak_mb, output, load)


def _peak_mb(pid: int) -> float:
    """The most memory that a process had so far.

    Not what `wait4` tells: that counts what we had ourselves when the process was born.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    told = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(told[1]) / 1024 if told else 0.0  # it has ended
