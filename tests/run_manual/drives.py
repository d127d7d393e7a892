"""Short simulated drives of `run_manual.py`, as a process or in this one."""

import subprocess
import sys

import path
from get_data import run_manual
from tests.helpers.waiting import HANGS_S

SCRIPT = path.ROOT / "get_data" / "run_manual.py"
SESSION_OPTIONS = [f"--{key}=x" for key in ("event", "track", "track-type", "driver", "comment")]


def start(folder, *options, **more):
    """Start a simulated drive as a process."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(folder), "--simulate", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def run_drive(folder, *options):
    """Run a simulated drive as a process; return exit code, stdout and stderr."""
    process = start(folder, *options)
    out, err = process.communicate(timeout=HANGS_S)
    return process.returncode, out, err


def has_pictures(folder, pictures=10):
    """Return a condition: the folder has this many pictures."""
    return lambda: len(list(folder.glob("*.jpg"))) >= pictures


def record_briefly(call, folder, *options):
    """Record a few pictures in this process; return exit code, report and stderr."""
    return call(run_manual, "-o", folder, "--simulate", "--duration", "0.2", *options)
