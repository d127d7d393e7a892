"""A drive with corrections, and the export of a folder."""

from datetime import timedelta

import pytest

from get_data import export_set
from get_data.labels import edits
from get_data.sets.exporting import format_names
from tests.conftest import START, document, save

FORMATS = tuple(format_names.FORMATS)
PICTURES = 12


def drive_labels(count=PICTURES, **own):
    """Labels of one drive at 10 Hz; the third is corrected, the fourth drove by a model."""
    labels = [
        document(number, steering=round(number % 5 / 2 - 1, 3), throttle=0.1 + number % 3 / 10)
        | {"session_id": "20240501T12-00-00-000000-7f3a"}
        | own
        for number in range(count)
    ]
    if count > 3:
        corrected = edits.corrected(
            labels[2], created_by="Ada", direction=4, speed=1, created_on=START + timedelta(days=1)
        )
        labels[2] = {**corrected, "label": corrected["label"] | {"steering": 0.8125}}
    return labels


@pytest.fixture
def recorded(tmp_path):
    """A folder with the drive."""
    return save(tmp_path / "set", drive_labels())


@pytest.fixture
def export(call, tmp_path):
    """Return a function that exports a folder: exit code, JSON, stderr, new folder."""

    def run(folder, name, out="out"):
        code, found, err = call(export_set, folder, "-o", tmp_path / out, "--format", name)
        return code, found, err, tmp_path / out

    return run
