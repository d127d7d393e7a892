"""A recorder that several tests share."""

import pytest

from tests.helpers.recordings import assert_whole, open_recorder


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return a recorder for tests that do not stop it; all share it."""
    with open_recorder(tmp_path_factory.mktemp("running")) as recorder:
        yield recorder
    assert_whole(recorder.folder)
