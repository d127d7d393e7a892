"""Pictures that cannot be uploaded, each one failed item."""

import pytest

from get_data import upload_data, upload_to_db
from tests.bad_input.rows import Row, all_of, as_params, file_with, folder, link
from tests.conftest import document, save

ROWS = [
    Row(
        "picture is a link out of the folder",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is a link out of its folder"],
        all_of(
            lambda workspace: save(workspace / "new", [document(90)]),
            file_with("secret", "secret"),
            link(f"new/{document(90)['file_name']}", "../secret"),
        ),
    ),
    Row(
        "picture is a folder",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is not a regular file"],
        all_of(
            lambda workspace: save(workspace / "new", [document(90)]),
            folder(f"new/{document(90)['file_name']}"),
        ),
    ),
    Row(
        "picture is empty",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is empty"],
        all_of(
            lambda workspace: save(workspace / "new", [document(90)]),
            file_with(f"new/{document(90)['file_name']}", ""),
        ),
    ),
    Row(
        "picture has another hash",
        upload_to_db,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is damaged"],
        all_of(
            lambda workspace: save(workspace / "new", [document(90)]),
            file_with(f"new/{document(90)['file_name']}", "x"),
        ),
    ),
    Row(
        "no pictures",
        upload_data,
        ["new"],
        2,
        ["new has none of the pictures", "-p"],
        lambda workspace: save(workspace / "new", [document(90)], pictures=False),
    ),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)
