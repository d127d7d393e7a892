"""Commands run on a terminal of their own."""

import os
import pty
import subprocess

import path


def run(arguments, *, typed="", cwd=path.ROOT):
    """Run a command on a terminal, type an answer; return its exit code and what it wrote."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        list(map(str, arguments)), cwd=cwd, stdin=its, stderr=its, stdout=its
    )
    os.close(its)
    os.write(ours, typed.encode())
    said = b""
    try:
        while piece := os.read(ours, 10_000):
            said += piece
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    return process.wait(), said.decode()
