"""Prerequisites of fetching and building, proved by use and not by a name.

A program of the right name may be too old, or lack what it needs, as gcc without Python's headers.
So each need is tried as it will be used. Those that fail are installed together where apt-get may,
or named together, before long work begins.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers.fetching import Missing, run, say


@dataclass(frozen=True, slots=True)
class Need:
    """Something that must work here.

    `fault` tries it and returns why it does not work, or "". `package` is Debian's name of what
    brings it.
    """

    name: str
    package: str
    fault: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Lack:
    """A need that is not met, and could not be."""

    need: Need
    fault: str

    def __str__(self) -> str:
        return f"{self.need.name}: {self.fault}"


def require(needs: Iterable[Need]) -> None:
    """Make sure that all of these work, installing packages where that is allowed.

    Raises: Missing, which names all that do not.
    """
    if lacks := provide(needs):
        raise Missing(describe(lacks))


def provide(needs: Iterable[Need]) -> list[Lack]:
    """Try all of these, install at once what is missing, and return what still does not work."""
    lacks = _lacks(needs)
    if not lacks or not _may_install():
        return lacks
    packages = _packages(lacks)
    say(f"installing {' '.join(packages)}, for {', '.join(lack.need.name for lack in lacks)}")
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*become_root, shutil.which("apt-get") or "apt-get"]
    remedy = describe(lacks)
    run([*apt, "update"], remedy=remedy)
    installing = [*apt, "install", "-y", "--no-install-recommends", *packages]
    run(installing, remedy=remedy, DEBIAN_FRONTEND="noninteractive")
    return _lacks(lack.need for lack in lacks)


def describe(lacks: Sequence[Lack]) -> str:
    """Return all of them in one line, with one remedy."""
    packages = " ".join(_packages(lacks))
    return f"{'; '.join(map(str, lacks))}; install it: sudo apt-get install {packages}"


def program(name: str, package: str, *trial: str) -> Need:
    """Return the need for a program that succeeds with these arguments."""
    return Need(name, package, lambda: fault_of([name, *trial]))


def fault_of(command: Sequence[str]) -> str:
    """Run a command; return why it failed, or ""."""
    found = shutil.which(command[0])
    if not found:
        return "is missing"
    try:
        ended = subprocess.run(
            [found, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    last = (ended.stdout.strip().splitlines() or ["no reason given"])[0]
    return f"does not work: {last}" if ended.returncode else ""


def _fault_of_compiling(code: str, *flags: str) -> str:
    """Return why this C code does not compile to a shared library, or ""."""
    with TemporaryDirectory() as folder:
        source = Path(folder, "trial.c")
        source.write_text(code)
        library = str(source.with_suffix(".so"))
        return fault_of(["gcc", "-shared", "-fPIC", *flags, "-o", library, str(source), "-ldl"])


def _fault_of_c() -> str:
    return _fault_of_compiling("#include <dlfcn.h>\n#include <sys/mman.h>\nint trial;\n")


def _fault_of_headers() -> str:
    """Check the headers of the running Python, be it the system's or not."""
    folder = sysconfig.get_paths()["include"]
    return _fault_of_compiling("#include <Python.h>\nint trial;\n", f"-I{folder}")


C = Need("gcc", "build-essential", _fault_of_c)
PYTHON_HEADERS = Need(
    "Python's headers",
    f"python{sys.version_info.major}.{sys.version_info.minor}-dev",
    _fault_of_headers,
)

SWIG = program("swig", "swig", "-version")


def _lacks(needs: Iterable[Need]) -> list[Lack]:
    return [Lack(need, fault) for need in needs if (fault := need.fault())]


def _packages(lacks: Iterable[Lack]) -> list[str]:
    return sorted({lack.need.package for lack in lacks})


def _may_install() -> bool:
    """Return whether there is apt, and we are root or become it without a password."""
    if not shutil.which("apt-get"):
        return False
    return os.geteuid() == 0 or not fault_of(["sudo", "-n", "true"])
