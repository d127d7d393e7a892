"""Commands on a terminal of their own."""

import os
import pty
import subprocess

import path


def run(arguments, *, typed="", cwd=path.ROOT):
    """Run a command on a terminal and type an answer; return its exit code and output."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        list(map(str, arguments)), cwd=cwd, stdin=slave, stderr=slave, stdout=slave
    )
    os.close(slave)
    os.write(master, typed.encode())
    output = b""
    try:
        while piece := os.read(master, 10_000):
            output += piece
    except OSError:  # the terminal is closed
        pass
    os.close(master)
    return process.wait(), output.decode()
