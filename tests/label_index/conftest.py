"""A label index of every kind, empty or with sample labels."""

import pytest

from tests.helpers.index_labels import SAMPLE
from tests.label_index.indices import KINDS, index_opener


@pytest.fixture(params=KINDS)
def open_index(request, tmp_path):
    """Yield a function that opens one new index; it may be called again."""
    with index_opener(request, tmp_path) as open_index:
        yield open_index


@pytest.fixture(params=KINDS)
def index(request, tmp_path):
    """An empty index; for a test that needs one that does not exist there is `open_index`."""
    with index_opener(request, tmp_path, is_shared=True) as open_index:
        yield open_index()


@pytest.fixture(params=KINDS, scope="module")
def sample_index(request, tmp_path_factory):
    """Yield an index of the `SAMPLE` labels, for searches only."""
    with index_opener(request, tmp_path_factory.mktemp("sample")) as open_index:
        index = open_index()
        index.create(SAMPLE)
        yield index
