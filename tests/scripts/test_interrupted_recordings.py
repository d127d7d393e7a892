"""Interrupted recordings, repaired by the first script that reads them."""

import pytest

from get_data import contact_sheet, run_manual, upload_data, upload_to_db
from get_data.labels import label_file
from get_data.recording import journal
from tests.conftest import document
from tests.helpers.permissions import permissions_enforced
from tests.helpers.recordings import interrupted_recording


def test_each_script_repairs_an_interrupted_recording_with_a_message(call, tmp_path):
    for number, script in enumerate((upload_data, upload_to_db, contact_sheet)):
        folder = interrupted_recording(tmp_path / str(number), [document(0)], torn=b"torn")
        code, _, err = call(script, folder)
        assert code == 0, err
        assert f"{folder}: repaired an interrupted recording: 1 label kept" in err
        assert "this line of the journal is torn" in err
        assert not (folder / journal.NAME).exists()


def test_an_unreadable_picture_does_not_prevent_the_repair_of_the_others(call, tmp_path):
    folder = interrupted_recording(tmp_path / "drive", [document(number) for number in range(3)])
    (folder / document(1)["file_name"]).chmod(0)
    with permissions_enforced():
        code, counts, err = call(upload_data, folder)
    assert (code, counts["created"]) == (0, 2)
    reason = "the picture cannot be read: Permission denied"
    assert f"  damaged: {document(1)['img_id']}: {reason}" in err
    assert (folder / "damaged" / document(1)["file_name"]).exists()


@pytest.mark.slow
def test_a_folder_with_an_unreadable_picture_can_be_continued(call, tmp_path):
    folder = interrupted_recording(tmp_path / "drive", [document(number) for number in range(3)])
    file = folder / document(1)["file_name"]
    file.unlink()
    file.mkdir()
    code, _, err = call(run_manual, "-o", folder, "--simulate", "--duration", 1)
    assert code == 0, err
    assert f"  damaged: {document(1)['img_id']}: the picture is not a regular file" in err
    assert len(label_file.read(folder / label_file.NAME)) > 2
