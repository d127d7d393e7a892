"""An index of the test's own on a shared Elasticsearch."""

import math
from dataclasses import replace

import pytest

from common import retry
from get_data.database.es_utils import client
from get_data.database.es_utils.settings import from_environment
from tests.es_utils.helpers import open_index
from tests.servers.addresses import new_name
from tests.servers.proxy import Proxy


@pytest.fixture
def name():
    return new_name("labels")


@pytest.fixture
def cluster(elasticsearch_8, name):
    yield elasticsearch_8
    elasticsearch_8.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


@pytest.fixture
def settings(cluster, name):
    """Settings of the writer, for an index that does not exist."""
    return from_environment(cluster.environment(name))


@pytest.fixture
def index(settings):
    with open_index(settings) as index:
        yield index


@pytest.fixture
def proxy(settings):
    with Proxy(settings.url) as proxy:
        yield proxy


@pytest.fixture
def far_index(settings, proxy):
    """An index behind the proxy, already checked."""
    with open_index(replace(settings, url=proxy.url)) as index:
        index.check(writing=True)
        yield index


@pytest.fixture
def _short_retries(monkeypatch):
    """Give up first contact after 0.3 s."""
    monkeypatch.setattr(retry, "FIRST_CONTACT_TIMEOUT_S", 0.3)


@pytest.fixture(autouse=True)
def _near(monkeypatch):
    """What is sent is not compressed, however long a busy machine takes for an answer."""
    monkeypatch.setattr(client, "_FAR_ROUND_TRIP_S", math.inf)
