"""Run a server for as long as somebody holds the other end of standard input.

    python supervisor.py [--user NAME] [--remove FOLDER] -- COMMAND...

Prints the server's process id, and exits with its exit code, or 128 plus the number of the signal
that ended it. When standard input ends, because it was closed or its holder was killed, the
server's process group is ended and FOLDER, its data, removed. A session of its own keeps Ctrl-C
away.
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

SHUTDOWN_TIMEOUT_S = 120  # enough on a busy machine


def main() -> int:
    """Run the server and return its exit code."""
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
    """Return the options of Popen for a process group of its own, as this user."""
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
        server.wait(SHUTDOWN_TIMEOUT_S)
    _signal(server, signal.SIGKILL)


def _signal(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the latter on macOS for a zombie
        os.killpg(server.pid, number)


if __name__ == "__main__":
    raise SystemExit(main())
