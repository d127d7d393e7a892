"""Follow docs/raspberry_pi.md on the Debian that this runs on, test, and count instructions.

    python3 -m tests.environments.arm64 [commands] [costs] [tests]

Without an argument all three. It runs on the Python of a fresh system, so it needs no package. Each
command is a line that begins with `ok`, `skipped` or `FAILED`; the first failure ends the run.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import path
from tests.environments.arm64 import costs, documented, what_a_pi_runs
from tests.helpers import patience

PYTHON = path.ROOT / ".venv" / "bin" / "python"
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages/"
# What lints, installs or browses is not needed, and has no part in what a Pi runs.
NOT_NEEDED = ("mypy", "ruff", "playwright", "types-tqdm", "uv")
QUICK = "not slow and not servers and not browser"


class Failed(Exception):
    """A step that failed; the message says how."""


def follow_page() -> None:
    """Run the commands of the page. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(patience.CODE)
        _follow_page({"PYTHONPATH": os.pathsep.join([folder, str(path.ROOT)])})


def _follow_page(unhurried: dict[str, str]) -> None:
    """Run the commands; drives, which are slow here, with these variables. Raises Failed."""
    page = documented.PAGE.read_text()
    if unused := documented.unused_names(page):
        raise Failed(f"{documented.PAGE.name} no longer has: {', '.join(unused)}")
    for command in documented.commands(page):
        if command.reason:
            say(documented.describe(command))
            continue
        begin_s = time.monotonic()
        ran = subprocess.run(
            documented.shell(command.text),
            cwd=path.ROOT,
            env=os.environ
            | {"USER": "root", "DEBIAN_FRONTEND": "noninteractive"}
            | (unhurried if "run_manual.py" in command.text else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        expected = 1 if command.failure else 0
        if ran.returncode != expected or command.failure not in ran.stdout:
            raise Failed(f"{command.text}\n{ran.stdout}exit code {ran.returncode}")
        ended = f"ok, which fails here: {command.failure}" if command.failure else "ok"
        say(f"{ended} ({time.monotonic() - begin_s:.0f} s): {documented.describe(command)}")


def run_tests() -> None:
    """Run the quick tests of what a Pi runs, with the system's numpy. Raises Failed."""
    where = "import numpy; print(numpy.__version__, numpy.__file__)"
    version, _, file = _output(PYTHON, "-c", where).partition(" ")
    if not file.startswith(SYSTEM_PACKAGES):
        raise Failed(f"numpy {version} is not the system's but {file}: the page has replaced it")
    lines = (path.ROOT / "requirements-dev.txt").read_text().splitlines()
    needed = [line for line in lines if line and not line.startswith(("#", *NOT_NEEDED))]
    _run(PYTHON, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *needed)
    files = [file.relative_to(path.ROOT) for file in what_a_pi_runs.test_files()]
    say(f"the quick tests in {len(files)} files, with numpy {version}")
    _run(PYTHON, "-m", "pytest", "-q", "-n", "2", "-m", QUICK, *files)


def count_costs() -> None:
    """Count instructions and compare them with their figures. Raises Failed."""
    if not costs.COUNTER.exists():
        say("skipped (this machine cannot count them): instructions")
        return
    found = costs.count(PYTHON)
    for cost in found:
        say(f"{cost.name}: {cost.instructions / 1000:,.0f} thousand instructions")
    figures = costs.read_figures(costs.FIGURES.read_text(), _codename())
    if not figures:
        say(f"no figures of this system in {costs.FIGURES.name} yet: these are the first")
    elif wrong := costs.compare(found, figures):
        raise Failed("\n".join(wrong))


STEPS: dict[str, Callable[[], None]] = {
    "commands": follow_page,
    "costs": count_costs,
    "tests": run_tests,
}


def _codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"]


def _output(*command: object) -> str:
    ran = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, cwd=path.ROOT
    )
    return ran.stdout.strip()


def _run(*command: object) -> None:
    """Run a command. Raises Failed."""
    ran = subprocess.run(list(map(str, command)), check=False, cwd=path.ROOT)
    if ran.returncode:
        raise Failed(f"exit code {ran.returncode}: {' '.join(map(str, command[:6]))}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Run the steps; return the exit code."""
    for name in names or STEPS:
        try:
            STEPS[name]()
        except (Failed, subprocess.CalledProcessError) as error:
            say(f"FAILED {name}: {error}")
            return 1
    say("all as documented")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
