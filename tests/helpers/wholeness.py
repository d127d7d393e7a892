"""The check of a finished recording."""

from get_data.labels import ids, label_file
from get_data.recording import journal


def assert_whole(folder):
    """Check that labels and pictures match one to one, in size and hash; return the labels."""
    labels = label_file.read(folder / label_file.NAME)
    for document in labels.values():
        content = (folder / document["file_name"]).read_bytes()
        assert ids.sha256(content) == document["picture_sha256"]
        assert len(content) == document["picture_size"]
    assert {file.stem for file in folder.glob("*.jpg")} == set(labels)
    assert not list(folder.glob(".*.tmp"))
    assert not (folder / journal.NAME).exists()
    return labels
