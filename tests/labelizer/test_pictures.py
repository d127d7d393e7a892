"""Picture faults, contact sheets, and the inspection in the background."""

import cv2
import numpy as np

from get_data.labelizer import pictures
from get_data.labelizer.inspection import Inspection
from tests.browser.drives import img_id, picture
from tests.labelizer.helpers import edit_label_file, read_folder


def test_picture_faults_are_found_without_decoding():
    whole = picture(1)
    assert pictures.find_fault(whole) == ""
    assert pictures.find_fault(whole + b"\0" * 8) == ""  # padding of some cameras
    assert pictures.find_fault(whole + bytes(200)) == ""
    filled = whole[:2] + b"\xff\xff" + whole[2:]  # fill bytes before a marker
    assert pictures.find_fault(filled) == ""
    thumbnail = b"\xff\xe1" + (2 + len(whole)).to_bytes(2) + whole
    assert pictures.find_fault(whole[:2] + thumbnail + whole[2:-40]) == "the picture is cut off"
    assert pictures.find_fault(whole[:300]) == "the picture is cut off"
    assert pictures.find_fault(b"") == "the picture is empty or cannot be read"
    assert pictures.find_fault(whole[:-40]) == "the picture is cut off"
    assert pictures.find_fault(b"\x89PNG" + whole) == "the picture is not a JPEG"
    assert pictures.find_fault(b"\xff\xd8\xff\xd9") == "the picture is not a JPEG"
    large = cv2.imencode(".jpg", np.zeros((5000, 4001, 3), np.uint8))[1].tobytes()
    assert pictures.find_fault(large) == "the picture is too large, 4001x5000 pixels"


def test_a_sheet_has_each_picture_in_its_tile(folder):
    files = [folder / f"{img_id(number)}.jpg" for number in range(12)]
    files[4] = None
    files[5].write_bytes(b"no picture")
    wide = np.full((100, 400, 3), 255, np.uint8)
    files[6].write_bytes(cv2.imencode(".jpg", wide)[1].tobytes())
    sheet = cv2.imdecode(np.frombuffer(pictures.draw_sheet(files), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (240, 1600, 3)

    def tile(number):
        row, column = divmod(number, 10)
        return sheet[row * 120 : row * 120 + 120, column * 160 : column * 160 + 160].astype(int)

    for number in (0, 3, 11):
        original = cv2.imdecode(np.frombuffer(picture(number), np.uint8), cv2.IMREAD_COLOR).astype(
            int
        )
        assert np.abs(tile(number) - original).mean() < 6
    for number in (4, 5):
        assert np.abs(tile(number) - 40)[16:-16, 16:-16].max() < 6
    assert tile(6)[60, 80].min() > 240  # the wide picture: whole, with background above and below
    assert tile(6)[10, 80].max() < 60


def test_the_inspection_finds_broken_dull_and_still_pictures(folder):
    for number in range(12):
        (folder / f"{img_id(number)}.jpg").write_bytes(picture(0 if number < 11 else number))
    edit_label_file(folder, lambda labels: [label.pop("picture_size") for label in labels])
    inspection = Inspection(read_folder(folder))
    inspection.inspect_all()
    assert inspection.findings.still == [(0, 10)]
    assert inspection.findings.looked_at == 12
    black = cv2.imencode(".jpg", np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    (folder / f"{img_id(4)}.jpg").write_bytes(black)
    (folder / f"{img_id(7)}.jpg").write_bytes(picture(7)[:300])
    inspection = Inspection(read_folder(folder))
    inspection.inspect_all()
    assert inspection.findings.dull == [4]
    assert [position for position, _ in inspection.findings.broken] == [7]
    assert inspection.findings.still == []
