"""Runs a server for as long as somebody holds the other end of its standard input.

    python supervisor.py [--user NAME] [--remove FOLDER] -- COMMAND...

Tells the server's process id on stdout, and ends with its exit code, 128 and its number for a
signal. When standard input ends, be it that it was closed or that whoever held it was killed, the
server's whole process group is ended and FOLDER, its data, removed. In a session of its own, it
outlives a Ctrl-C for the others.
"""

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

PATIENCE_S = 120  # for the server to end by itself, on a busy machine too


def main() -> int:
    """Runs the server; returns its exit code."""
    args = _parse_args()
    server = subprocess.Popen(
        args.command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **_group(args.user)
    )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    unwanted = threading.Event()
    threading.Thread(target=_end_when_unwanted, args=(server, unwanted), daemon=True).start()
    code = server.wait()
    _signal(server, signal.SIGKILL)  # whatever the server left in its group
    if unwanted.is_set() and args.remove:
        shutil.rmtree(args.remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user")
    parser.add_argument("--remove")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def _group(user: str | None) -> dict[str, object]:
    """How to start the server: in a process group of its own, as that user."""
    if user is None:
        return {"start_new_session": True}
    entry = pwd.getpwnam(user)
    return {
        "start_new_session": True,
        "user": entry.pw_uid,
        "group": entry.pw_gid,
        "extra_groups": [],
    }


def _end_when_unwanted(server: subprocess.Popen[bytes], unwanted: threading.Event) -> None:
    while os.read(0, 4096):
        continue
    unwanted.set()
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE_S)
    _signal(server, signal.SIGKILL)


def _signal(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the latter on macOS for a zombie
        os.killpg(server.pid, number)


if __name__ == "__main__":
    raise SystemExit(main())
