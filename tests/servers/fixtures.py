"""The servers as fixtures: each is started once per run, by the first test that requests it.

With pytest-xdist, the first worker starts a server and leaves its address for the others. Servers
are tied to the main process of the run: they end with it, even when it is killed. A test takes an
index or a bucket of its own (`addresses.new_name`, `Gateway.make_bucket`); one that stops or kills
a server starts its own.
"""

import dataclasses
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import msgspec
import pytest

from tests.helpers import memory
from tests.servers import fetch
from tests.servers.addresses import Cluster, Gateway
from tests.servers.cluster import ElasticsearchCluster
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.fetching import Missing
from tests.servers.server import Server
from tests.servers.versity import Versity

SERVERS = {"elasticsearch_8", "elasticsearch_9", "https_elasticsearch", "s3"}
SHUTDOWN_TIMEOUT_S = 300.0  # after the last test

_FOLDER = pytest.StashKey[Path]()
_HOLD = pytest.StashKey[int]()
_started: list[Server] = []  # keeps them from being garbage-collected

Address = TypeVar("Address", Cluster, Gateway)


@pytest.fixture(scope="session")
def elasticsearch_8(pytestconfig: pytest.Config) -> Cluster:
    """An Elasticsearch 8, shared by all tests."""
    return _elasticsearch(pytestconfig, fetch.ELASTICSEARCH_8)


@pytest.fixture(scope="session")
def elasticsearch_9(pytestconfig: pytest.Config) -> Cluster:
    """An Elasticsearch 9 with https, shared by all tests.

    Skips where no Java is new enough, but not in CI.
    """
    try:
        fetch.java_for(fetch.ELASTICSEARCH_9)
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    return _elasticsearch(pytestconfig, fetch.ELASTICSEARCH_9, https=True)


@pytest.fixture(scope="session")
def s3(pytestconfig: pytest.Config) -> Gateway:
    """An S3 without buckets, shared by all tests."""

    def start(life: Path) -> tuple[Sequence[Server], Gateway]:
        server = Versity(life=life).start()
        return [server], server.gateway

    return _shared(pytestconfig, "s3", Gateway, start)


@pytest.fixture(scope="session")
def https_elasticsearch(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Cluster:
    """An Elasticsearch with https, shared by all tests: version 9 where there is a Java for it."""
    if fetch.java(fetch.ELASTICSEARCH_9).fault() and not os.environ.get("CI"):
        return _elasticsearch(pytestconfig, fetch.ELASTICSEARCH_8, https=True)
    return request.getfixturevalue("elasticsearch_9")


def _elasticsearch(config: pytest.Config, version: str, *, https: bool = False) -> Cluster:
    nodes, shards = config.getoption("nodes"), config.getoption("shards")

    def start(life: Path) -> tuple[Sequence[Elasticsearch], Cluster]:
        servers = (
            [Elasticsearch(version, life=life, https=https).start()]
            if nodes == 1
            else ElasticsearchCluster(version, nodes=nodes, life=life, https=https).start().nodes
        )
        return servers, dataclasses.replace(servers[0].cluster, shards=shards)

    name = f"elasticsearch-{version}" + "-https" * https
    return _shared(config, name, Cluster, start)


def _shared(
    config: pytest.Config,
    name: str,
    kind: type[Address],
    start: Callable[[Path], tuple[Sequence[Server], Address]],
) -> Address:
    """Return the address of a running server; the first caller starts it."""
    folder = config.stash[_FOLDER]
    address_file = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address_file.exists():
            servers, address = start(folder / "life")
            _started.extend(servers)
            address_file.write_bytes(msgspec.json.encode(address))
    return msgspec.json.decode(address_file.read_bytes(), type=kind)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--nodes` and `--shards`, with which the shared Elasticsearch is a larger cluster."""
    parser.addoption("--nodes", type=int, default=1, help="nodes of each shared Elasticsearch")
    parser.addoption("--shards", type=int, default=1, help="parts of each index of labels on it")


def pytest_configure(config: pytest.Config) -> None:
    """Create the run's folder, and in it the pipe whose closing ends the servers."""
    config.addinivalue_line("markers", "servers: needs real servers; left out of `make check`")
    if hasattr(config, "workerinput"):
        config.stash[_FOLDER] = Path(config.workerinput["servers"])
        return
    folder = Path(mkdtemp(prefix="patate-run-", dir=memory.folder()))
    folder.chmod(0o711)  # Elasticsearch, as another user, has its own folder in it
    os.mkfifo(folder / "life")
    config.stash[_FOLDER] = folder
    config.stash[_HOLD] = os.open(folder / "life", os.O_RDWR)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the folder of the run."""
    node.workerinput["servers"] = str(node.config.stash[_FOLDER])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a server."""
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers and remove the folder of the run; a worker leaves them to the others."""
    for server in _started:  # what ends them is the pipe
        server.leave()
    if _HOLD not in config.stash:
        return
    folder = config.stash[_FOLDER]
    os.close(config.stash[_HOLD])
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
    while any(folder.glob("patate-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)
