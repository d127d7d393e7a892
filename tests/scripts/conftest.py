"""A drive that was uploaded and fetched."""

import pytest

from get_data import search_and_download, upload_data


@pytest.fixture
def fetched(call, drive, tmp_path):
    """The drive, uploaded and fetched into a folder of its own."""
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "training")
    return tmp_path / "training"
