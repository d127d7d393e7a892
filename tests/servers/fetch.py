"""Brings the servers, and the browser, to this machine, once, and keeps them outside the checkout.

Elasticsearch comes from Maven Central as the distribution that its makers publish for tests of
plug-ins, versitygw from the Go module proxy. The cache is `$PATATE_SERVER_CACHE`, else
`/var/cache/patate-servers` for root (other users must be able to read it: Elasticsearch does not
run as root), else `patate-servers` in the user's cache.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from errors import ToolkitError

ELASTICSEARCH_8 = "8.19.21"
ELASTICSEARCH_9 = "9.5.3"
VERSITYGW = "1.8.0"

_ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_OLDEST_JAVA = {"8": 17, "9": 21}  # by Elasticsearch's major version
_MEGABYTES = {ELASTICSEARCH_8: 107, ELASTICSEARCH_9: 132}


class ServerMissing(ToolkitError):
    """A server, or what it needs, is not on this machine and could not be brought."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java on this machine."""

    major: int
    home: Path


def cache() -> Path:
    """The folder that keeps the servers."""
    if told := os.environ.get("PATATE_SERVER_CACHE"):
        return Path(told).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/patate-servers")
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "patate-servers"


def elasticsearch(version: str) -> Path:
    """The home of that Elasticsearch, fetched if it is not in the cache. Raises: ServerMissing."""
    return _kept(f"elasticsearch-{version}", lambda folder: _fetch_elasticsearch(version, folder))


def versitygw() -> Path:
    """The program versitygw, built when it is not in the cache. Raises: ServerMissing."""
    return _kept(f"versitygw-{VERSITYGW}", _fetch_versitygw) / "versitygw"


def chromium() -> str:
    """The program Chromium, installed if need be. Raises: ServerMissing."""
    return _program("chromium", "chromium")


def java_for(version: str) -> Java:
    """The oldest Java that is new enough for that Elasticsearch; one for 8 is installed if need be.

    Raises: ServerMissing.
    """
    needed = _OLDEST_JAVA[version.partition(".")[0]]
    if not _new_enough(needed) and needed <= _OLDEST_JAVA["8"]:
        _install("java", "default-jre-headless")
    if found := _new_enough(needed):
        return min(found, key=lambda java: java.major)
    raise ServerMissing(
        f"Elasticsearch {version} needs Java {needed} or newer, and there is none in JAVA_HOME, "
        f"in PATH or below /usr/lib/jvm; install openjdk-{needed}-jre-headless or a newer one"
    )


def javas() -> list[Java]:
    """Each Java in JAVA_HOME, in PATH and where systems keep them, newest first."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if program := shutil.which("java"):
        homes.append(Path(program).resolve().parent.parent)
    homes += Path("/usr/lib/jvm").glob("*")
    homes += Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")
    distinct = {home.resolve() for home in homes if (home / "bin/java").is_file()}
    found = [Java(major, home) for home in distinct if (major := _major(home))]
    return sorted(found, key=lambda java: java.major, reverse=True)


def _new_enough(major: int) -> list[Java]:
    return [java for java in javas() if java.major >= major]


def _major(home: Path) -> int:
    """The version of a Java; 0 for one that does not run."""
    asked = [home / "bin/java", "-XshowSettings:properties", "-version"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    for line in answer.stderr.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "java.specification.version":
            return int(value) if value.strip().isdecimal() else 0  # 1.8 is too old for anything
    return 0


def _kept(name: str, fetch: Callable[[Path], None]) -> Path:
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
    _say(f"fetched: {target}")
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
        raise ServerMissing(
            f"{path.parent} cannot be written: {error.strerror}; set PATATE_SERVER_CACHE to a "
            "folder that can"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_elasticsearch(version: str, folder: Path) -> None:
    maven = _program("mvn", "maven")
    _say(f"fetching Elasticsearch {version} ({_MEGABYTES.get(version, 130)} MB), once")
    repository = folder.parent / "maven"
    _run(
        [
            *(maven, "-q", "-B", "dependency:get", "-Dtransitive=false"),
            *(f"-Dartifact={_ARTIFACT}:{version}:zip", f"-Dmaven.repo.local={repository}"),
        ],
        remedy="is Maven Central reached? A proxy or a mirror goes into ~/.m2/settings.xml",
    )
    [archive] = repository.rglob(f"elasticsearch-{version}.zip")
    _unpack(archive, folder.parent / "unpacked")
    folder.rmdir()
    (folder.parent / "unpacked" / f"elasticsearch-{version}").rename(folder)


def _unpack(archive: Path, folder: Path) -> None:
    """The files of a zip archive are there; those that run may be run."""
    with zipfile.ZipFile(archive) as opened:
        for item in opened.infolist():
            path = Path(opened.extract(item, folder))
            if not item.is_dir() and item.external_attr >> 16 & 0o100:
                path.chmod(0o755)


def _fetch_versitygw(folder: Path) -> None:
    go = _program("go", "golang")
    _say(f"building versitygw {VERSITYGW} (45 MB; a minute or two), once")
    work = folder.parent
    _run(
        [
            *(go, "install", "-modcacherw", "-trimpath", "-ldflags", "-s -w"),
            f"{_MODULE}@v{VERSITYGW}",
        ],
        remedy="it needs Go 1.25 or newer, or one of 1.21 or newer that may fetch that",
        CGO_ENABLED="0",
        GOBIN=str(folder),
        GOMODCACHE=str(work / "modules"),
        GOCACHE=str(work / "objects"),
        GOFLAGS="",
    )


def _run(command: Sequence[str], *, remedy: str, **environment: str) -> None:
    """The command has done its work. Raises: ServerMissing with its last words."""
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
        raise ServerMissing(f"`{' '.join(command[:3])} ...` failed: {last}; {remedy}")


def _program(name: str, package: str) -> str:
    """The path of a program, installed when it is not there. Raises: ServerMissing."""
    return shutil.which(name) or _install(name, package)


def _install(name: str, package: str) -> str:
    """The program is there, by apt-get; returns its path. Raises: ServerMissing."""
    missing = f"{name} is missing; install the package {package}"
    apt = shutil.which("apt-get")
    if not apt or not _may_install():
        raise ServerMissing(f"{missing}: sudo apt-get install {package}")
    _say(f"installing {package}, for {name}")
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    _run([*become_root, apt, "update"], remedy=missing)
    install = [*become_root, apt, "install", "-y", "--no-install-recommends", package]
    _run(install, remedy=missing, DEBIAN_FRONTEND="noninteractive")
    if program := shutil.which(name):
        return program
    raise ServerMissing(f"{missing}: {package} brought no {name}")


def _may_install() -> bool:
    """Whether we are root, or become it without being asked for a password."""
    if os.geteuid() == 0:
        return True
    if not shutil.which("sudo"):
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def _make_readable(folder: Path) -> None:
    """Every user may read what is in the folder, whatever the umask."""
    for path in (folder, *folder.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)


def _say(line: str) -> None:
    sys.stderr.write(f"servers: {line}\n")
    sys.stderr.flush()
