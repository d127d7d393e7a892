"""Readers of other projects in environments of their own, for tests of what we write and read.

Their packages would fill the checkout's `.venv` and hold back its versions. An environment is made
once, from exact versions and from wheels, and kept in the cache of the servers.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.environments.versions import PythonMissing, find_python
from tests.servers import fetching
from tests.servers.fetching import Missing


@dataclass(frozen=True, slots=True)
class Readers:
    """An environment with readers.

    `packages` are installed without what they depend on but do not need here. `python`: version of
    the interpreter, "" for the one that runs the tests.
    """

    name: str
    packages: tuple[str, ...]
    megabytes: int
    python: str = ""

    @property
    def folder_name(self) -> str:
        """Name in the cache: another one for other versions."""
        python = self.python or "{}.{}".format(*sys.version_info)
        versions = sha256(" ".join(self.packages).encode()).hexdigest()[:12]
        return f"{self.name}-python{python}-{versions}"


# To raise a version, resolve it anew with `uv pip compile`.
DATASETS = Readers(
    "datasets",
    (
        *("datasets==5.2.0", "lerobot-doctor==0.2.0", "webdataset==1.0.2"),
        *("anyio==4.16.0", "braceexpand==0.1.7", "click==8.5.1", "dill==0.4.1"),
        *("filelock==4.3.1", "fsspec==2026.9.0", "h11==0.16.0", "httpcore2==2.16.2"),
        *("httpx2==2.16.2", "huggingface-hub==2.4.0", "idna==3.20", "markdown-it-py==4.3.0"),
        *("mdurl==0.1.2", "multiprocess==0.70.19", "numpy==2.4.6", "packaging==26.4"),
        *("pandas==3.1.1", "pillow==13.0.0", "pyarrow==26.0.1", "pygments==2.21.0"),
        *("python-dateutil==4.0.0", "pyyaml==6.0.4", "rich==15.0.0", "tqdm==4.70.1"),
        *("truststore==0.10.5", "typing-extensions==4.16.0", "tzdata==2026.6", "xxhash==4.1.0"),
    ),
    megabytes=110,
)
DONKEYCAR = Readers(
    "donkeycar",
    (
        *("donkeycar==5.3.0", "numpy==2.4.6", "pillow==13.0.0", "prettytable==3.18.0"),
        "pyfiglet==1.0.4",
    ),
    megabytes=30,
    python="3.11",  # the only one that this version takes
)


def fetch(readers: Readers) -> Path:
    """Return the interpreter of an environment, which is made if it is not in the cache.

    Raises:
        Missing: this machine lacks the version of Python, or the packages cannot be fetched.
    """
    folder = fetching.cached(readers.folder_name, lambda folder: _make(readers, folder))
    return folder / "bin" / "python"


def fetch_all() -> list[str]:
    """Make all environments; return why one is left out. In CI none is.

    Raises:
        Missing: one cannot be made.
    """
    reasons = []
    for readers in (DATASETS, DONKEYCAR):
        try:
            fetch(readers)
        except _NoPython as error:
            if os.environ.get("CI"):
                raise
            reasons.append(f"without {readers.name}: {error}")
    return reasons


def run(python: Path, code: str, *arguments: object, home: Path) -> Any:
    """Run Python code in an environment; return the JSON that is its last line.

    `arguments` are its `sys.argv[1:]`; caches of the readers go into `home`.
    """
    ended = subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        env={**_UNPATHED, "HOME": str(home), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


_UNPATHED = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


class _NoPython(Missing):
    """This machine lacks a version of Python."""


def _make(readers: Readers, folder: Path) -> None:
    try:
        python = find_python(readers.python) if readers.python else sys.executable
    except PythonMissing as error:
        raise _NoPython(str(error)) from error
    fetching.say(f"fetching {readers.packages[0]} and others ({readers.megabytes} MB), once")
    uv = (sys.executable, "-m", "uv", "--quiet", "--no-python-downloads")
    remedy = "is the package index reached? `uv pip` knows proxies and mirrors from its variables"
    # The folder is renamed when it is whole.
    fetching.run([*uv, "venv", "--relocatable", "--python", python, str(folder)], remedy=remedy)
    install = [*uv, "pip", "install", "--python", str(folder), "--no-deps", "--no-build"]
    fetching.run([*install, *readers.packages], remedy=remedy)
