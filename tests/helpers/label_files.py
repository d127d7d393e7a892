"""Changes of a label file by a user."""

from datetime import UTC, datetime

from get_data.labels import edits, label_file
from tests.conftest import document


def correct(folder, number, direction=0):
    """Correct the direction of one picture as the user Ada; return the label."""
    labels = label_file.read(folder / label_file.NAME)
    img_id = document(number)["img_id"]
    labels[img_id] = edits.corrected(
        labels[img_id], created_by="Ada", direction=direction, speed=1, created_on=datetime.now(UTC)
    )
    label_file.write(folder / label_file.NAME, labels)
    return labels[img_id]


def mark_for_deletion(folder, *numbers):
    """Mark the labels of these pictures to be deleted."""
    labels = label_file.read(folder / label_file.NAME)
    for number in numbers:
        labels[document(number)["img_id"]]["to_delete"] = True
    label_file.write(folder / label_file.NAME, labels)
