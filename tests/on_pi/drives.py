"""The checks before a drive, a simulated drive, and the disk that it writes to."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import path
from tests.on_pi.outcomes import Failed, summarize

_SCRIPT = path.ROOT / "get_data/run_manual.py"
_PICTURE_BYTES = 6000
_WRITES = 100


def check_car() -> dict[str, Any]:
    """Run `run_manual.py --check`, as before a drive. Raises Failed."""
    with TemporaryDirectory(dir=path.ROOT, prefix="onpi-") as folder:
        done = _run("-o", str(Path(folder, "drive")), "--check")
    lines = done.stderr.strip().splitlines()
    facts = {"exit code": done.returncode, "lines": lines}
    if done.returncode != 0:
        failed = [line.split()[0] for line in lines if re.match(r"\s*\w+\s+FAILED ", line)]
        what = ", ".join(failed) or (lines[-1] if lines else "no output")
        raise Failed(f"the checks before a drive fail: {what}; see lines", facts)
    return facts


def drive_simulated(seconds: float) -> dict[str, Any]:
    """Record a simulated drive; return its report and its cost. Raises Failed."""
    with TemporaryDirectory(dir=path.ROOT, prefix="onpi-") as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start_s = time.monotonic()
        drive = str(Path(folder, "drive"))
        done = _run("-o", drive, "--simulate", "--duration", f"{seconds:g}", "--seed", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took_s = time.monotonic() - start_s
    facts: dict[str, Any] = {
        "exit code": done.returncode,
        "lines": done.stderr.strip().splitlines(),
        "seconds": round(took_s, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "most memory_mb": after.ru_maxrss // 1024,
    }
    if done.returncode != 0:
        raise Failed("the simulated drive has failed; see lines", facts)
    facts["report"] = json.loads(done.stdout)
    return facts


def measure_disk() -> dict[str, Any]:
    """Write files as large as pictures into the checkout's file system, and sync each."""
    write_ms, sync_ms = [], []
    with TemporaryDirectory(dir=path.ROOT, prefix="onpi-") as folder:
        content = os.urandom(_PICTURE_BYTES)
        for number in range(_WRITES):
            start_s = time.monotonic()
            with Path(folder, f"{number}.jpg").open("wb", buffering=0) as file:
                file.write(content)
                written_s = time.monotonic()
                os.fsync(file.fileno())
            write_ms.append((written_s - start_s) * 1000)
            sync_ms.append((time.monotonic() - written_s) * 1000)
    return {"write_ms": summarize(write_ms, 2), "sync_ms": summarize(sync_ms, 2)}


def _run(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(_SCRIPT), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=600,
    )
