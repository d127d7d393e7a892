"""Run the tests with the oldest and the newest packages that the requirements files allow.

    python -m tests.environments.versions -q -n 2 -m "not slow and not servers and not browser"

The arguments are pytest's. Oldest means the lowest version of each package that a requirements file
names, on the oldest Python; newest means what an installation gets today, on the newest Python,
whose packages may have other types as well: there mypy runs first.
Both environments are created anew each time: uv caches downloads, so this takes seconds, and a kept
environment would soon not be the newest.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import path

REQUIREMENTS = (
    *("requirements.txt", "requirements-export.txt"),
    *("requirements-pi.txt", "requirements-dev.txt"),
)

_UV_COMMAND = (sys.executable, "-m", "uv", "--no-python-downloads", "--directory", path.ROOT)


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment to test in; `resolution` is the argument of uv."""

    folder: Path
    python: str
    resolution: str
    checks_types: bool = False


ENVIRONMENTS = (
    Environment(path.ROOT / ".venv-lowest", "3.11", "lowest-direct"),
    Environment(path.ROOT / ".venv-newest", "3.13", "highest", checks_types=True),
)


class PythonMissing(Exception):
    """This machine lacks a version of Python."""


def main(pytest_arguments: Sequence[str]) -> int:
    """Test in every environment; return 1 when a test failed, or in CI when a Python is missing."""
    failed = False
    for environment in ENVIRONMENTS:
        try:
            make(environment)
        except PythonMissing as missing:
            _say(f"left out: {environment.resolution} versions: {missing}")
            failed |= bool(os.environ.get("CI"))
            continue
        _say(f"Python {environment.python}, {environment.resolution} versions")
        python = environment.folder / "bin" / "python"
        commands = [["pytest", *pytest_arguments]]
        if environment.checks_types:
            commands.insert(0, ["mypy"])
        for command in commands:
            ran = subprocess.run([python, "-m", *command], cwd=path.ROOT, check=False)
            failed |= ran.returncode != 0
    return int(failed)


def make(environment: Environment) -> None:
    """Create the environment anew, from wheels only: few users can compile a package.

    Raises:
        PythonMissing: this machine lacks the version of Python.
        CalledProcessError: a package cannot be installed.
    """
    python = find_python(environment.python)
    _run_uv("venv", "--clear", "--seed", "--python", python, environment.folder)
    install = ("pip", "install", "--python", environment.folder)
    files = [argument for name in REQUIREMENTS for argument in ("-r", name)]
    _run_uv(*install, "--no-build", "--resolution", environment.resolution, *files)


def find_python(version: str) -> str:
    """Return the interpreter of a version.

    Raises:
        PythonMissing: this machine lacks it.
    """
    # pyenv's shims run only the active versions; search the others too.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [os.environ.get("PATH", ""), *map(str, pyenv.glob(f"versions/{version}*/bin"))]
    asked = subprocess.run(
        [*_UV_COMMAND, "python", "find", "--system", version],
        env={**os.environ, "PATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise PythonMissing(
            f"Python {version} is not on this machine; run: .venv/bin/uv python install {version}"
        )
    return asked.stdout.strip()


def _run_uv(*arguments: str | Path) -> None:
    subprocess.run([*_UV_COMMAND, "--quiet", *arguments], check=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # before what pytest says


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
