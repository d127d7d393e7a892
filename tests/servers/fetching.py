"""Brings to this machine, once, what tests need and no package index has ready, and keeps it.

The cache stands outside the checkout: `$PATATE_SERVER_CACHE`, else `/var/cache/patate-servers` for
root (other users must be able to read it: Elasticsearch does not run as root), else
`patate-servers` in the user's cache.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import ToolkitError


class Missing(ToolkitError):
    """Something is not on this machine and could not be brought."""


def cache() -> Path:
    """The folder that keeps what was brought."""
    if told := os.environ.get("PATATE_SERVER_CACHE"):
        return Path(told).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/patate-servers")
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "patate-servers"


def is_kept(name: str) -> bool:
    """Whether the cache has that folder."""
    return (cache() / name).exists()


def kept(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache, whole; `fetch` fills it when it is not there.

    Of several processes one fetches and the others wait. What a killed one left is removed.
    """
    target = cache() / name
    if target.exists():
        return target
    with _locked(cache() / f"{name}.lock"):
        if target.exists():
            return target
        for left in cache().glob(f".{name}.*"):
            shutil.rmtree(left)
        with TemporaryDirectory(prefix=f".{name}.", dir=cache()) as temporary:
            folder = Path(temporary, name)
            folder.mkdir()
            fetch(folder)
            _make_readable(folder)
            folder.rename(target)
    say(f"fetched: {target}")
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """No other process is in a block with the same path."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o755)  # whatever the umask
        file = path.open("w")
    except OSError as error:
        raise Missing(
            f"{path.parent} cannot be written: {error.strerror}; set PATATE_SERVER_CACHE to a "
            "folder that can"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str], *, remedy: str, **environment: str) -> None:
    """The command has done its work. Raises: Missing with its last words."""
    ended = subprocess.run(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        last = " ".join(ended.stdout.strip().splitlines()[-3:])
        raise Missing(f"`{' '.join(command[:3])} ...` failed: {last}; {remedy}")


def _make_readable(folder: Path) -> None:
    """Every user may read what is in the folder, whatever the umask."""
    for path in (folder, *folder.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)


def say(line: str) -> None:
    """The user is told what takes a while."""
    sys.stderr.write(f"tests: {line}\n")
    sys.stderr.flush()
