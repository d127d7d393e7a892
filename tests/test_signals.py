"""A script that is stopped while it imports modules, at its start or later: one line and 130."""

import os
import signal
import subprocess
import sys

import pytest

import path
from tests.browser.server import free_port

SCRIPTS = sorted(
    file.name
    for file in (path.ROOT / "get_data").glob("*.py")
    if "process.run(main)" in file.read_text()
)
WATCH = '''
"""Notes what a script imports, and stops it when it comes to a module."""
import os, sys, _signal

class Watch:
    def find_spec(self, name, path=None, target=None):
        handled_by = getattr(_signal.getsignal(_signal.SIGTERM), "__module__", "")
        is_loaded = hasattr(sys.modules["__main__"], "parse_args")
        if handled_by == os.environ["HANDLED_BY"] and is_loaded == bool(os.environ["WORKS"]):
            os.write(int(os.environ["NOTE"]), name.encode() + b"\\n")
            if name == os.environ.get("STOP_AT"):
                os.kill(os.getpid(), int(os.environ["NUMBER"]))

sys.meta_path.insert(0, Watch())
'''


@pytest.fixture
def run(tmp_path):
    """Runs a script that is stopped where it imports a module: the end, and what it imports."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)

    def run_script(name, stop_at="", number=signal.SIGINT, *, ignored=False, work=()):
        read, write = os.pipe()
        ended = subprocess.run(
            [sys.executable, path.ROOT / "get_data" / name, *(work or ["--no-such-option"])],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "NOTE": str(write),
                "HANDLED_BY": "get_data.cli.process" if work else "common.signals",
                "WORKS": "1" if work else "",
                "STOP_AT": stop_at,
                "NUMBER": str(int(number)),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            pass_fds=[write],
            preexec_fn=(lambda: signal.signal(number, signal.SIG_IGN)) if ignored else None,
        )
        os.close(write)
        with os.fdopen(read) as noted:
            return ended, noted.read().split()

    return run_script


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_is_stopped_while_it_is_loaded_says_so_in_one_line(run, name):
    ended, modules = run(name)
    assert ended.returncode == 2  # the option
    assert len(modules) > 20
    chosen = [modules[0], modules[len(modules) // 2], modules[-1], "get_data.cli.process"]
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for position, module in enumerate(chosen):
        ended, _ = run(name, module, numbers[position % 3])
        assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n"), module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("upload_data.py", []), ("contact_sheet.py", []), ("upload_to_db.py", ["--dry-run"])],
)
def test_a_script_that_is_stopped_while_its_work_imports_says_so_in_its_last_line(
    run, drive, name, options
):
    """Libraries are also imported with the first call that needs them."""
    work = [drive, *options]
    ended, modules = run(name, work=work)
    assert ended.returncode == 0
    for module in modules[:: max(1, len(modules) // 8)]:
        ended, _ = run(name, module, work=work)
        assert ended.returncode == 130, (module, ended.stderr)
        assert ended.stderr.splitlines()[-1] == "interrupted"
        assert "Traceback" not in ended.stderr


def test_a_script_that_ignores_a_signal_still_does_so(run):
    """As nohup has it."""
    ended, _ = run("write_label_template.py", "argparse", signal.SIGHUP, ignored=True)
    assert ended.returncode == 2


SWALLOWS = """
import logging.config, os, signal, sys
from get_data import run_labelizer
from get_data.cli import process

def fails_when_interrupted():  # as a lock does that is released in a `finally`
    try:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(100_000))  # the handler runs
    except KeyboardInterrupt:
        raise RuntimeError("cannot release un-acquired lock") from None

logging.config._clearExistingHandlers = fails_when_interrupted
raise SystemExit(process.run(run_labelizer.main))
"""


def test_a_labelizer_that_is_stopped_while_it_is_set_up_says_so_in_one_line(drive):
    """Its libraries turn an exception from a signal handler into a failure of their own."""
    ended = subprocess.run(
        [sys.executable, "-c", SWALLOWS, drive, "--user", "Zoé", "--port", str(free_port())],
        cwd=path.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_every_script_is_tried():
    assert len(SCRIPTS) >= 7
