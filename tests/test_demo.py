"""`demo.sh`, which `make demo` runs."""

import contextlib
import os
import signal
import subprocess

import pytest

import path
from tests.helpers.waiting import HANGS_S, wait_until

FAKE_PYTHON = """#!/bin/sh
case $2 in
tests.servers) echo $$ >server; echo PATATE_ES_URL=x; while :; do sleep 0.1; done ;;
*) echo $$ >script; exec sleep 9999 ;;
esac
"""  # `exec`: a shell that is about to start a program may miss Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_servers_of_a_demo_end_with_it(tmp_path, number):
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    demo = subprocess.Popen(
        ["sh", str(path.ROOT / "demo.sh"), "./python", "team"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until((tmp_path / "script").is_file)
    os.killpg(demo.pid, number)  # like a terminal
    demo.wait(HANGS_S)
    server = int((tmp_path / "server").read_text())
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
