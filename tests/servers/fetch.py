"""Brings the servers, and the browser, to this machine, once, and keeps them outside the checkout.

Elasticsearch comes from Maven Central as the distribution that its makers publish for tests of
plug-ins, versitygw from the Go module proxy.
"""

import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests import fetching
from tests.fetching import Missing

ELASTICSEARCH_8 = "8.19.21"
ELASTICSEARCH_9 = "9.5.3"
VERSITYGW = "1.8.0"

_ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_OLDEST_JAVA = {"8": 17, "9": 21}  # by Elasticsearch's major version
_MEGABYTES = {ELASTICSEARCH_8: 107, ELASTICSEARCH_9: 132}


@dataclass(frozen=True, slots=True)
class Java:
    """A Java on this machine."""

    major: int
    home: Path


def elasticsearch(version: str) -> Path:
    """The home of that Elasticsearch, fetched if it is not in the cache. Raises: Missing."""
    return fetching.kept(
        f"elasticsearch-{version}", lambda folder: _fetch_elasticsearch(version, folder)
    )


def versitygw() -> Path:
    """The program versitygw, built when it is not in the cache. Raises: Missing."""
    return fetching.kept(f"versitygw-{VERSITYGW}", _fetch_versitygw) / "versitygw"


def chromium() -> str:
    """The program Chromium, installed if need be. Raises: Missing."""
    return fetching.program("chromium", "chromium")


def java_for(version: str) -> Java:
    """The oldest Java that is new enough for that Elasticsearch; one for 8 is installed if need be.

    Raises: Missing.
    """
    needed = _OLDEST_JAVA[version.partition(".")[0]]
    if not _new_enough(needed) and needed <= _OLDEST_JAVA["8"]:
        fetching.install("java", "default-jre-headless")
    if found := _new_enough(needed):
        return min(found, key=lambda java: java.major)
    raise Missing(
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


def _fetch_elasticsearch(version: str, folder: Path) -> None:
    maven = fetching.program("mvn", "maven")
    fetching.say(f"fetching Elasticsearch {version} ({_MEGABYTES.get(version, 130)} MB), once")
    repository = folder.parent / "maven"
    fetching.run(
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
    go = fetching.program("go", "golang")
    fetching.say(f"building versitygw {VERSITYGW} (45 MB; a minute or two), once")
    work = folder.parent
    fetching.run(
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
