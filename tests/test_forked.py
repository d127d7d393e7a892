"""A forked Python process cannot be told from a new interpreter by what it does."""

import os
import resource
import signal
import subprocess
import sys

import pytest

import path
from tests.helpers import forked
from tests.helpers.forked import new_interpreters
from tests.helpers.permissions import permissions_enforced

IS_FORKED = "import sys; print('cv2' in sys.modules)"
CODES = {
    "arguments and paths": "import sys; print(sys.argv, sys.orig_argv, sys.path, __name__)",
    "command line": "print([a for a in open('/proc/self/cmdline').read().split(chr(0)) if a])",
    "parent": "import os; print(os.getppid())",
    "folder": "import os; print(os.getcwd())",
    "variables": "import os; print(sorted(os.environ.items()))",
    "descriptors": "import os; print(sorted(os.listdir('/proc/self/fd')))",
    "streams": "import sys; print(sys.stdin, sys.stdout, sys.stderr, sys.stdout.line_buffering)",
    "streams are binary too": "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())",
    "signals": "import signal; print([(n, signal.getsignal(n) == signal.SIG_IGN,"
    " signal.getsignal(n) == signal.SIG_DFL) for n in signal.valid_signals()],"
    " signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "mask and limits": "import os, resource; print(os.umask(0),"
    " [resource.getrlimit(n) for n in range(16)])",
    "threads": "import os; print(len(os.listdir('/proc/self/task')))",
    "no module of the toolkit": "import sys; print({'car', 'path', 'get_data'} & set(sys.modules))",
    "exit code": "raise SystemExit(3)",
    "exit code that is large": "raise SystemExit(259)",
    "exit message": "raise SystemExit('no')",
    "exception": "def f(): 1 / 0\nf()",
    "interrupt": "raise KeyboardInterrupt",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "output without end of line": "import sys; sys.stdout.write('x'); sys.stderr.write('y')",
    "exit functions": "import atexit; atexit.register(print, 'late')",
    "threads that still run": "import threading, time;"
    "threading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()",
    "objects that are left": "class Left:\n def __del__(self): print('deleted')\nleft = Left()",
    "syntax error": "def",
}


def both(command, **options):
    """Return exit code, stdout and stderr of a forked process and of a new interpreter."""
    options = {"capture_output": True, "text": True, "input": "typed\n"} | options
    forked_one = subprocess.run(command, check=False, **options)
    with new_interpreters():
        new = subprocess.run(command, check=False, **options)
    return [(done.returncode, done.stdout, done.stderr) for done in (forked_one, new)]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_code_does_the_same(code):
    forked_one, new = both([sys.executable, "-c", code, "an argument"])
    assert forked_one[:2] == new[:2]
    assert without_source(forked_one[2]) == without_source(new[2])


def without_source(traceback):
    """Return a traceback without lines of code, which Python 3.13 knows of a new `-c` only."""
    return [line for line in traceback.splitlines() if not line.startswith("    ")]


@pytest.mark.parametrize(
    "command",
    [
        ["get_data/write_label_template.py", "--no-such-option"],
        ["get_data/upload_data.py", "none.json"],
        ["get_data/none.py"],
        ["-m", "get_data.show_database"],
        ["-m", "none"],
        ["-m", "tests.pi.namespace", "x"],
    ],
    ids=" ".join,
)
def test_a_script_or_module_does_the_same(command):
    forked_one, new = both([sys.executable, *command], cwd=path.ROOT)
    assert forked_one[:2] == new[:2]
    assert forked_one[2].splitlines()[-1:] == new[2].splitlines()[-1:]


def test_options_of_popen_have_their_effect(tmp_path):
    code = "import os, sys; print(os.getsid(0) == os.getpid(), os.getcwd(), os.environ['A'])"
    done = both(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"A": "b"},
        start_new_session=True,
    )
    assert done == [(0, f"True {tmp_path} b\n", "")] * 2
    reading, writing = os.pipe()
    code = f"import os; os.write({writing}, b'here')"
    assert both([sys.executable, "-c", code], pass_fds=[writing]) == [(0, "", "")] * 2
    assert os.read(reading, 9) == b"herehere"
    os.close(reading)
    os.close(writing)


def test_a_folder_that_is_missing_is_an_error_of_the_start(tmp_path):
    with pytest.raises(FileNotFoundError):
        subprocess.run([sys.executable, "-c", "pass"], cwd=tmp_path / "none", check=False)


def test_a_full_output_is_told_by_the_exit_code():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        first, second = both(
            [sys.executable, "-c", "print(1)"], capture_output=False, stdout=full, stderr=-1
        )
    assert first[0] == second[0] != 0


def test_a_process_can_be_signalled_and_waited_for():
    code = "import time; print('ready', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_code_that_a_test_runs_first_is_run_first(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys; print('first', sys.orig_argv[1:])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    forked_one, new = both([sys.executable, "-c", IS_FORKED, "x"])
    assert forked_one[1].splitlines() == [f"first {['-c', IS_FORKED, 'x']}", "True"]
    assert new[1].splitlines() == [f"first {['-c', IS_FORKED, 'x']}", "False"]


def is_forked(*options, **more):
    """Return whether such a process is forked."""
    command = [sys.executable, *options, "-c", IS_FORKED]
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def test_what_a_fork_cannot_do_is_a_new_interpreter(tmp_path):
    assert is_forked() == "True\n"
    assert is_forked("-I") == "False\n"
    assert is_forked(env=os.environ | {"PYTHONIOENCODING": "ascii"}) == "False\n"
    assert is_forked(env=os.environ | {"LC_ALL": "C"}) == "False\n"
    assert is_forked(preexec_fn=lambda: None) == "False\n"
    (tmp_path / "cv2.py").write_text("")  # a fake of the library
    assert is_forked(env=os.environ | {"PYTHONPATH": str(tmp_path)}) == "False\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 35, hard))
    try:
        assert is_forked() == "False\n"
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.mark.skipif(os.geteuid() != 0, reason="has no rights to lose")
def test_a_process_with_fewer_rights_is_a_new_interpreter():
    with permissions_enforced():
        assert is_forked() == "False\n"


@pytest.mark.new_interpreter
def test_the_marker_starts_new_interpreters():
    assert is_forked() == "False\n"
    assert subprocess.Popen is not forked.Popen


def test_the_server_ends_with_its_client():
    code = f"""
import subprocess, sys
sys.path.insert(0, {str(path.ROOT)!r})
from tests.helpers import forked
forked.install()
subprocess.run([sys.executable, "-c", "pass"], check=True)
[server] = open("/proc/self/task/" + str(__import__("os").getpid()) + "/children").read().split()
print(server)
"""
    with new_interpreters():
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
