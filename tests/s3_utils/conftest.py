"""A bucket of the test's own on a shared S3, and an S3 in memory."""

import pytest

from tests.s3_utils.helpers import KEY, Stub, open_store
from tests.servers.proxy import Proxy


@pytest.fixture
def environment(s3):
    """The variables that lead a writer to an empty bucket of the test's own."""
    return s3.environment(s3.make_bucket())


@pytest.fixture
def proxy(s3):
    with Proxy(s3.url) as proxy:
        yield proxy


@pytest.fixture
def store(environment, proxy):
    """A store behind the proxy, in which a picture lies."""
    store = open_store(environment, PATATE_S3_ENDPOINT_URL=proxy.url)
    store.put_new(KEY, b"whole" * 2000)
    proxy.requests.clear()
    return store


@pytest.fixture
def stub():
    with Stub() as stub:
        yield stub
