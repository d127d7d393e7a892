"""A script that is stopped while it imports modules, at its start or later: one line and 130."""

import os
import signal
import subprocess
import sys

import pytest

import path
from tests.browser.server import free_port
from tests.helpers.scripts import SCRIPTS, readme_arguments
from tests.helpers.waiting import HANGS_S

pytestmark = pytest.mark.new_interpreter  # what a start imports is their subject

EVERY, ALSO = 10, "get_data.cli.process"
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WATCH = '''
"""Notes what a script imports, and stops it, or a copy of it, when it comes to a module."""
import os, sys, _signal
from _frozen_importlib_external import PathFinder
from itertools import count, cycle

COPIES = os.environ.get("COPIES")
NUMBERS = cycle(map(int, os.environ["NUMBERS"].split()))
POSITIONS = count()
watching = True

class Watch:
    def find_spec(self, name, path=None, target=None):
        handled_by = getattr(_signal.getsignal(_signal.SIGTERM), "__module__", "")
        if watching and handled_by == os.environ["HANDLED_BY"]:
            os.write(int(os.environ["NOTE"]), name.encode() + b"\\n")
            if name == os.environ.get("STOP_AT"):
                os.kill(os.getpid(), next(NUMBERS))
            elif COPIES:
                is_nth = next(POSITIONS) % int(os.environ["EVERY"]) == 0
                if is_nth or name == os.environ["ALSO"]:
                    stop_copy(name)
        if name == os.environ["DOES_NOTHING"]:
            spec = PathFinder.find_spec(name, path)
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (load(module), setattr(module, "run", done))
            return spec

def done(_arguments):
    """What a script does when only its start is tried."""
    return 2

def stop_copy(name):
    """Stop a copy of this process, and write after its output how it ended."""
    global watching
    number = next(NUMBERS)
    written = [os.open(f"{COPIES}/{kind}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
               for kind in ("stdout", "stderr")]
    copy = os.fork()
    if copy == 0:
        watching = False
        os.dup2(written[0], 1)
        os.dup2(written[1], 2)
        os.kill(os.getpid(), number)
        return  # to the import
    code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    os.write(written[1], f"{name} {code}\\n".encode())
    for descriptor in written:
        os.close(descriptor)

sys.meta_path.insert(0, Watch())
'''


@pytest.fixture
def run(tmp_path):
    """Runs a script that is stopped where it imports a module: the end, and what it imports.

    Without `work` it does nothing once it is loaded, and ends with 2.
    With `copies`, a folder, a copy of the process is stopped at every tenth module, and at `ALSO`.
    """
    (tmp_path / "sitecustomize.py").write_text(WATCH)

    def run_script(name, stop_at="", number=signal.SIGINT, *, ignored=False, work=(), copies=None):
        read, write = os.pipe()
        arguments = work or readme_arguments(name)
        ended = subprocess.run(
            [sys.executable, path.ROOT / "get_data" / name, *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "NOTE": str(write),
                "HANDLED_BY": "get_data.cli.process" if work else "common.early_signals",
                "DOES_NOTHING": "" if work else f"get_data.commands.{name.removesuffix('.py')}",
                "STOP_AT": stop_at,
                "COPIES": str(copies or ""),
                "EVERY": str(EVERY),
                "ALSO": ALSO,
                "NUMBERS": " ".join(str(int(each)) for each in (NUMBERS if copies else [number])),
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
@pytest.mark.parametrize("name", [file.name for file in SCRIPTS])
def test_a_script_that_is_stopped_while_it_is_loaded_says_so_in_one_line(run, tmp_path, name):
    ended, modules = run(name, copies=tmp_path)
    assert ended.returncode == 2  # it was loaded
    assert f"get_data.commands.{name.removesuffix('.py')}" in modules
    assert len(modules) > 20
    assert {"pathlib", "signal", "threading", "argparse"} <= set(
        modules
    )  # after the handler was set
    chosen = [each for i, each in enumerate(modules) if i % EVERY == 0 or each == ALSO]
    assert ALSO in chosen
    stopped = [f"interrupted\n{module} 130\n" for module in chosen]
    assert (tmp_path / "stderr").read_text() == "".join(stopped)
    assert (tmp_path / "stdout").read_text() == ""
    ended, _ = run(name, modules[-1])
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


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
    for module in modules[:: max(1, len(modules) // 5)]:
        ended, _ = run(name, module, work=work)
        assert ended.returncode == 130, (module, ended.stderr)
        assert ended.stderr.splitlines()[-1] == "interrupted"
        assert "Traceback" not in ended.stderr


WAITING = """
import signal, sys, threading, time, traceback
from get_data.cli import process

def functions_of(thread_id):
    return [frame.f_code.co_name for frame, _ in
            traceback.walk_stack(sys._current_frames()[thread_id])]

def receive(main_id):
    # Thread.start waits, too, but is not main
    while functions_of(main_id)[:3] != ["wait", "wait", "main"]:
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), int(sys.argv[1]))

def main():
    threading.Thread(target=receive, args=[threading.get_ident()]).start()
    threading.Event().wait()  # for ever

raise SystemExit(process.run(main))
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_script_that_waits_is_stopped_whichever_thread_gets_the_signal(number):
    """The kernel may choose any."""
    command = [sys.executable, "-c", WAITING, str(int(number))]
    stopped = subprocess.run(
        command, cwd=path.ROOT, capture_output=True, text=True, check=False, timeout=HANGS_S
    )
    assert (stopped.returncode, stopped.stderr) == (130, "interrupted\n")


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
