"""`contact_sheet.py`: exit code, stdout, stderr and effect."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

import path
from get_data import contact_sheet
from tests.conftest import document, save
from tests.helpers import jpeg_files


def test_contact_sheet_draws_every_picture_with_its_label(call, tmp_path):
    folder = save(tmp_path / "drive", [document(number) for number in range(6)])
    jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 200, np.uint8))[1].tobytes()
    for file in folder.glob("*.jpg"):
        file.write_bytes(jpeg)
    code, counts, _ = call(contact_sheet, folder)
    assert (code, counts["drawn"]) == (0, 6)
    drawn = cv2.imread(str(folder / "contact_sheet.png"))
    assert drawn.shape == (2 * 156 + 6, 3 * 206 + 6, 3)
    assert call(contact_sheet, folder, "--most", "2")[1]["drawn"] == 2


def jpeg_of_size(width, height):
    """Return the start of a JPEG file of this size in pixels, like an interrupted download."""
    start = bytes.fromhex("ffc0001108")  # precedes height and width
    encoded = cv2.imencode(".jpg", np.full((16, 16, 3), 200, np.uint8))[1].tobytes()
    at = encoded.index(start) + len(start)
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return encoded[:at] + size + encoded[at + 4 :]


def test_contact_sheet_draws_an_oversized_picture_grey(call, tmp_path):
    folder = save(tmp_path / "drive", [document(0)])
    (folder / document(0)["file_name"]).write_bytes(jpeg_of_size(65500, 65500))
    assert call(contact_sheet, folder)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [jpeg_of_size(12000, 12000), jpeg_files.bomb(16000), jpeg_files.flat(4800, 4000)],
    ids=["cut", "progressive", "the largest"],
)
@pytest.mark.new_interpreter
def test_contact_sheet_needs_little_memory_for_a_huge_picture(tmp_path, content):
    folder = save(tmp_path / "drive", [document(0)])
    (folder / document(0)["file_name"]).write_bytes(content)
    code = (
        "import sys\n"
        "from get_data import contact_sheet\n"
        "contact_sheet.main(sys.argv[1:])\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, folder], cwd=path.ROOT, capture_output=True, check=True
    )
    assert int(ended.stdout.split()[-1]) < 300_000  # kilobytes, of which 100,000 are OpenCV's


def test_contact_sheet_is_drawn_without_its_pictures_and_not_without_labels(call, tmp_path):
    folder = save(tmp_path / "drive", [document(0)], pictures=False)
    assert call(contact_sheet, folder)[0] == 0
    empty = save(tmp_path / "empty", [])
    assert call(contact_sheet, empty)[0] == 2


def test_contact_sheet_tells_what_it_could_not_draw(call, tmp_path):
    """Grey tiles are counted: a picture that is not there, apart from a file that is none."""
    folder = save(tmp_path / "drive", [document(number) for number in range(6)])
    names = [folder / document(number)["file_name"] for number in range(6)]
    names[0].unlink()
    names[1].write_bytes(names[1].read_bytes()[:-40])
    names[2].write_bytes(b"<!DOCTYPE html>")
    names[3].write_bytes(b"")
    names[4].unlink()
    names[4].symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "elsewhere.jpg").write_bytes(names[5].read_bytes())
    code, counts, said = call(contact_sheet, folder)
    assert (code, counts["drawn"], counts["missing"], counts["unreadable"]) == (0, 6, 1, 4)
    assert "warning: 4 pictures in " in said
    assert "warning: 1 picture not in " in said
    names[0].write_bytes(names[5].read_bytes())
    for file in names[1:5]:
        file.unlink()
        file.write_bytes(names[5].read_bytes())
    code, counts, said = call(contact_sheet, folder)
    assert (code, counts["missing"], counts["unreadable"], said.count("warning")) == (0, 0, 0, 0)
