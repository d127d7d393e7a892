"""A process of our own is ready, or says why not."""

import subprocess
from pathlib import Path

import pytest

from common import child_process
from common.child_process import ChildFailed
from tests.helpers.waiting import HANGS_S

pytestmark = pytest.mark.new_interpreter


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of that source; returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(source):
        (tmp_path / "child_of_a_test.py").write_text(source)
        return "child_of_a_test"

    return make


def test_a_child_is_ready_and_hears_and_outlives_the_signals_of_the_terminal(module):
    name = module(
        "import os, sys\n"
        "print('ready', flush=True)\n"
        "print(sys.argv[1], sys.stdin.read(), os.getsid(0) == os.getpid())"
    )
    child = child_process.start_process(name, "told", name="the child", stdin=subprocess.PIPE)
    assert child.communicate(b"heard", timeout=HANGS_S)[0] == b"told heard True\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise SystemExit('first\\nthe port is taken')", "the port is taken"),
        ("raise SystemExit(3)", "the child ended with 3"),
        ("print('not that')", "the child ended with 0"),
    ],
)
def test_a_child_that_does_not_start_says_why(module, source, said):
    with pytest.raises(ChildFailed) as failed:
        child_process.start_process(module(source), "", name="the child")
    assert str(failed.value) == said


def test_a_child_that_is_not_ready_in_time_is_ended(module, tmp_path):
    pid = tmp_path / "pid"
    name = module(
        f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(9999)"
    )
    with pytest.raises(ChildFailed, match=r"^the child is not ready after 2 s$"):
        child_process.start_process(name, "", name="the child", timeout_s=2)
    if not pid.exists():  # so busy a machine that it had not even begun
        return
    assert not Path(f"/proc/{pid.read_text()}").exists()
