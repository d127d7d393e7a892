"""The table of bad input itself."""

import pytest

from get_data import upload_data
from tests.bad_input.rows import Row, as_params


def test_every_row_has_a_name_of_its_own():
    row = Row("path: the same", upload_data, ["drive"], 2, [])
    assert len(as_params([row])) == 1
    with pytest.raises(ValueError, match="the same"):
        as_params([row, row])
