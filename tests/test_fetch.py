"""How the servers come to this machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import fetching
from tests.fetching import Missing
from tests.pi import libraries, wheels
from tests.servers import __main__ as servers_script
from tests.servers import fetch


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


def test_a_server_is_fetched_once_by_many_at_a_time(cache: Path) -> None:
    program(cache, "go", f'echo built >> {cache.parent}/log; echo program > "$GOBIN/versitygw"')
    with ThreadPoolExecutor(4) as threads:
        found = {each.result() for each in [threads.submit(fetch.versitygw) for _ in range(4)]}
    assert [one.read_text() for one in found] == ["program\n"]
    assert (cache.parent / "log").read_text() == "built\n"


def test_a_failed_fetch_says_why_and_leaves_nothing(cache: Path) -> None:
    program(cache, "go", 'echo half > "$GOBIN/versitygw"; echo "go: no such module" >&2; exit 1')
    with pytest.raises(Missing, match=r"no such module; it needs Go 1\.25"):
        fetch.versitygw()
    assert [one.name for one in cache.iterdir()] == [f"versitygw-{fetch.VERSITYGW}.lock"]


def test_what_a_killed_fetch_left_is_removed(cache: Path) -> None:
    left = cache / f".versitygw-{fetch.VERSITYGW}.abc"
    left.mkdir(parents=True)
    program(cache, "go", 'echo program > "$GOBIN/versitygw"')
    fetch.versitygw()
    assert not left.exists()


def test_what_is_fetched_may_be_read_by_everybody(cache: Path) -> None:
    """Elasticsearch runs as another user when root starts it."""
    program(cache, "go", 'echo program > "$GOBIN/versitygw"; /bin/chmod 700 "$GOBIN/versitygw"')
    before = os.umask(0o077)
    try:
        found = fetch.versitygw()
    finally:
        os.umask(before)
    assert [one.stat().st_mode & 0o777 for one in (found, found.parent, cache)] == [0o755] * 3


@pytest.mark.usefixtures("cache")
def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(Missing, match=r"go is missing.* sudo apt-get install golang"):
        fetch.versitygw()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("build", [libraries.rpi_gpio, libraries.edges])
def test_a_missing_compiler_is_named_with_its_package(build) -> None:
    with pytest.raises(Missing, match=r"gcc is missing.* sudo apt-get install build-essential"):
        build()


def test_a_library_that_cannot_be_built_says_what_it_needs(cache: Path) -> None:
    program(cache, "gcc", 'echo "sys/mman.h: No such file" >&2; exit 1')
    with pytest.raises(Missing, match=r"sys/mman\.h: No such file; it needs gcc and the headers"):
        libraries.edges()
    assert [one.name for one in cache.iterdir() if one.suffix != ".lock"] == []


@pytest.mark.usefixtures("cache")
def test_a_missing_browser_is_named_and_in_ci_a_failure(monkeypatch, capsys) -> None:
    for module, names in (
        (fetch, ("versitygw", "java_for", "elasticsearch")),
        (libraries, ("rpi_gpio", "edges")),
        (wheels, ("picamera2",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.delenv("CI", raising=False)
    servers_script.fetch_all()
    told = "chromium is missing; install the package chromium: sudo apt-get install chromium"
    assert f"without a browser: {told}" in capsys.readouterr().err
    monkeypatch.setenv("CI", "1")
    with pytest.raises(Missing, match=told):
        servers_script.fetch_all()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs without being asked")
def test_a_missing_program_is_installed_as_root(cache: Path) -> None:
    brought = cache.parent / "go"
    brought.write_text('#!/bin/sh\necho program > "$GOBIN/versitygw"\n')
    brought.chmod(0o755)
    log = cache.parent / "log"
    program(
        cache, "apt-get", f'echo "$*" >> {log}; [ "$1" = update ] || /bin/mv {brought} ${{0%/*}}'
    )
    fetch.versitygw()
    assert log.read_text().splitlines() == [
        "update",
        "install -y --no-install-recommends golang",
    ]


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
