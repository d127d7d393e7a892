"""Labels of the fixture `drive`, and searches for them."""

import json

from get_data import search_and_download
from get_data.labels import label_file
from tests.conftest import document

STEERING = [-0.9, -0.5, 0.0, 0.5, 0.9]


def drive_label(number):
    """Return the label of a picture of the fixture `drive`."""
    return document(number, steering=STEERING[number % 5])


def find(call, query, tmp_path):
    """Return the ids that a search finds."""
    folder = tmp_path / "found"
    code, _, err = call(search_and_download, "-q", json.dumps(query), "-p", folder)
    assert code == 0, err
    return list(label_file.read(folder / label_file.NAME))
