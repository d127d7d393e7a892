"""Files called .jpg that are no pictures: nothing takes them for one, and no decoder gets them."""

import cv2
import numpy as np
import pytest

from get_data import contact_sheet, search_and_download, upload_data, upload_to_db
from get_data.labelizer import pictures
from get_data.labels import ids
from tests.conftest import document, picture, save
from tests.helpers import jpeg_files
from tests.helpers.label_files import correct

NO_PICTURES = {
    "empty": b"",
    "cut": picture(1)[:150],
    "zeros": bytes(5000),
    "page": b"<html>404 not found</html>",
    "PNG": cv2.imencode(".png", np.zeros((24, 32, 3), np.uint8))[1].tobytes(),
    "TIFF": cv2.imencode(".tiff", np.zeros((24, 32, 3), np.uint8))[1].tobytes(),
    "JPEG 2000": cv2.imencode(".jp2", np.zeros((64, 96, 3), np.uint8))[1].tobytes(),
    "too large": jpeg_files.flat(16000, 16000),
    "bomb": jpeg_files.bomb(16000),
}


def bare(one):
    """The label of a tool that tells neither size nor hash of a picture."""
    return {key: one[key] for key in one if key not in ("picture_size", "picture_sha256")}


def vouched(one, content):
    """A label that tells both of these bytes, whatever they are."""
    return {**one, "picture_size": max(len(content), 1), "picture_sha256": ids.sha256(content)}


@pytest.mark.parametrize("script", [upload_data, upload_to_db])
@pytest.mark.parametrize("told", [False, True], ids=["bare labels", "labels with a hash"])
def test_files_that_are_no_pictures_are_reported_and_stay_out(call, tmp_path, home, script, told):
    documents = [document(number) for number in range(len(NO_PICTURES) + 1)]
    for number, content in enumerate(NO_PICTURES.values()):
        one = documents[number]
        documents[number] = vouched(one, content) if told else bare(one)
    documents[-1] = bare(documents[-1])
    folder = save(tmp_path / "drive", documents)
    for one, content in zip(documents, NO_PICTURES.values(), strict=False):
        (folder / one["file_name"]).write_bytes(content)
    for options in ["--dry-run"], [], []:
        code, counts, err = call(script, folder, *options)
        assert (code, counts["failed"]) == (3, len(NO_PICTURES))
        assert counts["created"] + counts["there"] == 1
        for one in documents[:-1]:
            assert str(folder / one["file_name"]) in err
    assert [file.read_bytes() for file in (home / "database" / "pictures").rglob("*.jpg")] == [
        picture(len(NO_PICTURES))
    ]
    for number, one in enumerate(documents[:-1]):
        (folder / one["file_name"]).write_bytes(picture(number))
    if not told:  # copied again
        assert call(script, folder)[1]["created"] == len(NO_PICTURES)


def test_what_is_no_picture_and_in_the_database_already_can_be_fetched_and_corrected(
    call, tmp_path, monkeypatch
):
    """As earlier versions took it."""
    content = NO_PICTURES["PNG"]
    folder = save(tmp_path / "drive", [vouched(document(0), content)])
    (folder / document(0)["file_name"]).write_bytes(content)
    with monkeypatch.context() as before:
        before.setattr("get_data.labels.picture_file.read_size", lambda _content: None)
        assert call(upload_data, folder)[0] == 0
    assert call(upload_data, folder)[1]["there"] == 1
    fetched = tmp_path / "fetched"
    code, counts, _ = call(search_and_download, "-p", fetched)
    assert (code, counts["fetched"]) == (0, 1)
    correct(fetched, 0)
    assert call(upload_to_db, fetched, "-y")[1]["replaced"] == 1


@pytest.fixture
def decoded(monkeypatch):
    """What OpenCV's decoders are given."""
    given, decode = [], cv2.imdecode

    def noting(content, how):
        given.append(bytes(content))
        return decode(content, how)

    monkeypatch.setattr(cv2, "imdecode", noting)
    return given


def test_a_sheet_gives_no_decoder_what_is_no_picture(call, tmp_path, decoded):
    folder = save(tmp_path / "drive", [document(number) for number in range(len(NO_PICTURES) + 1)])
    for number, content in enumerate(NO_PICTURES.values()):
        (folder / document(number)["file_name"]).write_bytes(content)
    assert call(contact_sheet, folder)[0] == 0
    assert decoded == [picture(len(NO_PICTURES))]


@pytest.mark.parametrize("name", ["sheet.txt", "sheet.jpg", "sheet", "sheet.png.bak", ".png"])
def test_a_sheet_is_not_written_under_the_name_of_another_format(call, drive, tmp_path, name):
    code, _, err = call(contact_sheet, drive, "-o", tmp_path / name)
    assert code == 2
    assert str(tmp_path / name) in err
    assert not (tmp_path / name).exists()
    assert call(contact_sheet, drive, "-o", tmp_path / "sheet.PNG")[0] == 0


def test_the_labelizer_gives_no_decoder_what_is_no_picture(tmp_path, decoded):
    files = [tmp_path / f"{number}.jpg" for number in range(len(NO_PICTURES) + 1)]
    for file, content in zip(files, [*NO_PICTURES.values(), picture(0)], strict=True):
        file.write_bytes(content)
    pictures.draw_sheet(files)
    looks = [pictures.inspect_picture(pictures.read_picture(file)) for file in files]
    assert all(look.fault for look in looks[:-1])
    assert looks[-1].fault == ""
    assert decoded == [picture(0)] * 2


@pytest.mark.parametrize("large", [False, True])
def test_a_tile_is_made_of_few_pixels_of_a_large_picture(large):
    """Decoding takes memory for what is shown, not for what is there."""
    side = 4000 if large else 300
    pixels = pictures.decode_picture(
        jpeg_files.flat(side, side), min_width_px=200, min_height_px=150
    )
    assert 150 <= pixels.shape[0] <= 600
    assert 200 <= pixels.shape[1] <= 600
