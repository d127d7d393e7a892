"""Cache of what tests need and no package index has ready: fetched once, kept outside the checkout.

The cache is `$PATATE_SERVER_CACHE`, else `/var/cache/patate-servers` for
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

_INDEX_REMEDY = "is the package index reached? `pip config` knows proxies and mirrors"


class Missing(ToolkitError):
    """Something is not on this machine and could not be fetched."""


def cache() -> Path:
    """Return the folder of the cache."""
    if chosen := os.environ.get("PATATE_SERVER_CACHE"):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/patate-servers")
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "patate-servers"


def is_cached(name: str) -> bool:
    """Return whether the cache has a folder of this name."""
    return (cache() / name).exists()


def cached(name: str, fetch: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled by `fetch` if it does not exist.

    Of several processes one fetches and the others wait. Leftovers of a killed one are removed.
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
    """Exclude other processes from blocks with the same path."""
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
    """Run a command.

    Raises:
        Missing: it failed; the message has its last lines.
    """
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


def run_pip(command: str, *arguments: str, remedy: str = _INDEX_REMEDY, **environment: str) -> None:
    """Run a command of pip for packages without what they depend on.

    Raises:
        Missing: it failed; the message has its last lines.
    """
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
    pip = [sys.executable, "-m", "pip", command, *quiet, *arguments]
    run(pip, remedy=remedy, **environment)


def _make_readable(folder: Path) -> None:
    """Make the folder readable for all users, whatever the umask."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():  # to what is not ours, such as the interpreter of an environment
            continue
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)


def say(line: str) -> None:
    """Print a line about what takes a while."""
    sys.stderr.write(f"tests: {line}\n")
    sys.stderr.flush()
