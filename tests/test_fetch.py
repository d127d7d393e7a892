"""How the servers come to this machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.environments import readers
from tests.pi import libraries, namespace, wheels
from tests.servers import __main__ as servers_script
from tests.servers import fetch, fetching, needs
from tests.servers.fetching import Missing


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a PATH without anything that could fill it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PATATE_SERVER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def program(cache: Path, name: str, script: str) -> None:
    """There is a program of that name."""
    file = cache.parent / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def go(cache: Path, script: str) -> None:
    """There is a Go that is new enough."""
    told = "echo go version go1.25.0 linux/amd64; exit"
    program(cache, "go", f'[ "$1" = version ] && {{ {told}; }}\n{script}')


def test_a_server_is_fetched_once_by_many_at_a_time(cache: Path) -> None:
    go(cache, f'echo built >> {cache.parent}/log; echo program > "$GOBIN/versitygw"')
    with ThreadPoolExecutor(4) as threads:
        found = {each.result() for each in [threads.submit(fetch.versitygw) for _ in range(4)]}
    assert [one.read_text() for one in found] == ["program\n"]
    assert (cache.parent / "log").read_text() == "built\n"


def test_a_failed_fetch_says_why_and_leaves_nothing(cache: Path) -> None:
    go(cache, 'echo half > "$GOBIN/versitygw"; echo "go: no such module" >&2; exit 1')
    with pytest.raises(Missing, match=r"no such module; is the Go module proxy reached"):
        fetch.versitygw()
    assert [one.name for one in cache.iterdir()] == [f"versitygw-{fetch.VERSITYGW}.lock"]


def test_what_a_killed_fetch_left_is_removed(cache: Path) -> None:
    left = cache / f".versitygw-{fetch.VERSITYGW}.abc"
    left.mkdir(parents=True)
    go(cache, 'echo program > "$GOBIN/versitygw"')
    fetch.versitygw()
    assert not left.exists()


def test_what_is_fetched_may_be_read_by_everybody(cache: Path) -> None:
    """Elasticsearch runs as another user when root starts it."""
    go(cache, 'echo program > "$GOBIN/versitygw"; /bin/chmod 700 "$GOBIN/versitygw"')
    before = os.umask(0o077)
    try:
        found = fetch.versitygw()
    finally:
        os.umask(before)
    assert [one.stat().st_mode & 0o777 for one in (found, found.parent, cache)] == [0o755] * 3


GOOD_GCC = """for last; do [ "$before" = -o ] && : >"$last"; before=$last; done"""
NO_HEADERS = """case $* in *-I*) echo "Python.h: No such file"; exit 1 ;; esac"""


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("fetch_one", "package"),
    [
        pytest.param(libraries.rpi_gpio, "build-essential", id="RPi.GPIO"),
        pytest.param(libraries.edges, "build-essential", id="edges"),
        pytest.param(libraries.gpiochip, "build-essential", id="gpiochip"),
        pytest.param(fetch.chromium, "chromium", id="Chromium"),
        pytest.param(lambda: fetch.elasticsearch("8.0.0"), "maven", id="Elasticsearch"),
    ],
)
def test_a_missing_program_is_named_with_its_package(fetch_one, package):
    with pytest.raises(Missing, match=rf"is missing.* sudo apt-get install .*{package}"):
        fetch_one()


def test_a_compiler_without_the_headers_of_python_is_not_enough(cache: Path) -> None:
    """gcc alone was looked for, and building failed minutes later."""
    program(cache, "gcc", f"{NO_HEADERS}\n{GOOD_GCC}")
    with pytest.raises(Missing, match=r"headers: .*Python\.h: No such file.* python3\.\d+-dev$"):
        libraries.rpi_gpio()
    assert [one.name for one in cache.iterdir() if one.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("name", "script", "need", "word"),
    [
        pytest.param("gcc", 'echo "cannot find -ldl"; exit 1', needs.C, "-ldl", id="C"),
        pytest.param("mvn", 'echo "no JAVA_HOME"; exit 1', fetch.MAVEN, "JAVA_HOME", id="Maven"),
        pytest.param(
            "chromium", 'echo "libnss3.so"; exit 127', fetch.CHROMIUM, "nss3", id="browser"
        ),
        pytest.param("chromium", "kill -9 $$", fetch.CHROMIUM, "no reason", id="killed"),
    ],
)
def test_a_program_that_is_there_and_does_not_work_is_no_program(cache, name, script, need, word):
    program(cache, name, script)
    with pytest.raises(Missing, match=rf"{name}: does not work: .*{word}.*{need.package}"):
        needs.require([need])


@pytest.mark.usefixtures("cache")
def test_all_that_is_missing_is_named_at_once_and_before_anything_is_fetched(monkeypatch) -> None:
    monkeypatch.setattr(fetch, "javas", list)
    monkeypatch.setattr(fetching, "cached", lambda name, _: pytest.fail(f"fetches {name}"))
    with pytest.raises(Missing) as raised:
        servers_script.fetch_all()
    for package in ("build-essential", "-dev", "maven", "default-jre-headless"):
        assert package in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("newer_java", [True, False])
def test_what_some_tests_need_is_named_and_in_ci_a_failure(newer_java, monkeypatch, capsys) -> None:
    fetched = []
    for module, names in (
        (fetch, ("versitygw", "elasticsearch")),
        (libraries, ("rpi_gpio", "rpi_lgpio", "evdev", "edges", "gpiochip", "input_device")),
        (wheels, ("picamera2",)),
        (readers, ("fetch",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_, name=name: fetched.append((name, *_)))
    monkeypatch.setattr(libraries, "needed", list)
    monkeypatch.setattr(fetch, "needed", lambda *_: [])
    monkeypatch.setattr(fetch, "javas", lambda: [fetch.Java(21, Path())] if newer_java else [])
    monkeypatch.setattr(namespace, "missing_support", lambda: "none here")
    monkeypatch.delenv("CI", raising=False)
    servers_script.fetch_all()
    err = capsys.readouterr().err
    assert "chromium: is missing" in err
    assert ("sudo apt-get install openjdk-21" in err) is not newer_java
    assert (("elasticsearch", fetch.ELASTICSEARCH_9) in fetched) is newer_java
    monkeypatch.setenv("CI", "1")
    with pytest.raises(Missing, match=r"chromium: is missing.* sudo apt-get install .*chromium"):
        servers_script.fetch_all()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs without being asked")
def test_all_that_is_missing_is_installed_at_once_as_root(cache: Path) -> None:
    log = cache.parent / "log"
    for name, script in (("gcc", GOOD_GCC), ("mvn", "true")):
        program(cache, name, script)
        (cache.parent / "bin" / name).rename(cache.parent / name)
    bring = f"/bin/mv {cache.parent}/gcc {cache.parent}/mvn ${{0%/*}}"
    program(cache, "apt-get", f'echo "$*" >> {log}; [ "$1" = update ] || {bring}')
    needs.require([needs.C, needs.PYTHON_HEADERS, fetch.MAVEN])
    assert log.read_text().splitlines() == [
        "update",
        "install -y --no-install-recommends build-essential maven " + needs.PYTHON_HEADERS.package,
    ]


def test_a_library_that_cannot_be_built_says_why(cache: Path) -> None:
    program(
        cache, "gcc", f'case $* in *-Werror*) echo "gcc: a bug" >&2; exit 1 ;; esac\n{GOOD_GCC}'
    )
    with pytest.raises(Missing, match=r"gcc: a bug"):
        libraries.edges()
    assert [one.name for one in cache.iterdir() if one.suffix != ".lock"] == []


@pytest.mark.parametrize("version", ["go1.19.8", "go1.24.4", "devel"])
def test_a_go_that_is_too_old_is_none(cache: Path, version: str, monkeypatch) -> None:
    program(cache, "go", f'[ "$1" = version ] && echo "go version {version} linux/amd64" || exit 1')

    def pip(folder: Path) -> None:
        go = folder / "go" / "bin" / "go"
        go.parent.mkdir(parents=True)
        go.write_text('#!/bin/sh\necho program > "$GOBIN/versitygw"\n')
        go.chmod(0o755)

    monkeypatch.setattr(fetch, "_fetch_go", pip)
    assert fetch.versitygw().read_text() == "program\n"


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATATE_SERVER_CACHE", str(tmp_path / "file"))
    with pytest.raises(Missing, match="set PATATE_SERVER_CACHE"):
        fetch.versitygw()


def make_java(home: Path, version: str) -> None:
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text(f'#!/bin/sh\necho "    java.specification.version = {version}" >&2\n')
    java.chmod(0o755)


def test_the_oldest_java_that_is_new_enough_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_java(tmp_path / "newest", "999")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "newest"))
    assert fetch.javas()[0] == fetch.Java(999, tmp_path / "newest")
    make_java(tmp_path / "fits", "21")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "fits"))
    assert fetch.java_for(fetch.ELASTICSEARCH_9).major >= 21
    assert 17 <= fetch.java_for(fetch.ELASTICSEARCH_8).major <= 21


def test_a_java_that_is_too_old_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_java(tmp_path, "1.8")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert tmp_path not in [java.home for java in fetch.javas()]


@pytest.mark.servers
def test_fetching_all_leaves_all_in_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert servers_script.main(["--fetch"]) == 0
    assert fetch.versitygw().exists()
    assert (fetching.cache() / f"elasticsearch-{fetch.ELASTICSEARCH_8}").exists()
    assert capsys.readouterr().out == ""
