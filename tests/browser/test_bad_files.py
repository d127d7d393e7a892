"""Files as they should not be: told, shown, and nothing breaks."""

import hashlib
import json
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from get_data.labels import label_file, validation
from tests.browser.conftest import ready
from tests.browser.drives import document, drive, img_id, picture
from tests.browser.page_actions import AWAY, current, export, keys, pressed, saved, show_only


@pytest.fixture
def broken(tmp_path):
    """A drive with every fault that a folder can have."""
    folder = drive(tmp_path / "drive", 20)
    (tmp_path / "secret.jpg").write_bytes(picture(99))

    def file(number):
        return folder / f"{img_id(number)}.jpg"

    file(1).write_bytes(b"")
    file(2).write_bytes(picture(2)[: len(picture(2)) // 2])
    file(3).write_bytes(b"<html>no picture</html>" * 40)
    file(4).unlink()
    file(5).unlink()
    file(5).symlink_to(tmp_path / "secret.jpg")
    huge = np.zeros((5000, 5000, 3), np.uint8)
    file(6).write_bytes(cv2.imencode(".jpg", huge)[1].tobytes())
    (folder / "unlabelled.jpg").write_bytes(picture(50))
    labels = label_file.read(folder / label_file.NAME)
    for number in (2, 3, 6):
        for key in ("picture_size", "picture_sha256"):
            labels[img_id(number)].pop(key)
    labels[img_id(7)]["label"]["label_direction"] = "3"
    labels[img_id(8)]["label"]["label_direction"] = 9
    del labels[img_id(9)]["label"]
    labels[img_id(10)]["file_name"] = "../secret.jpg"
    labels[img_id(11)]["to_delete"] = "true"
    labels[img_id(12)]["img_id"] = img_id(13)
    labels[img_id(14)]["label_fingerprint"] = "0" * 32
    labels[img_id(15)] = "no object"
    (folder / label_file.NAME).write_text(json.dumps(labels))
    return folder


def status(labelizer, place):
    request = urllib.request.Request(f"{labelizer.origin}/{place}", headers=labelizer.enter()[0])
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_every_fault_is_in_the_report(broken, start, open_page):
    """All are told, none crashes, nothing outside the folder is served."""
    labelizer = start(broken)
    page = open_page(labelizer)
    expect(page.locator("#overview")).to_be_visible()
    expect(page.locator("#looked-at")).to_have_text("All pictures were looked at.")
    found = {
        one.get_attribute("data-kind"): one.text_content()
        for one in page.locator("#problems details").all()
    }
    told = {
        "broken": {
            1: "the picture is empty",
            2: "the picture is cut off",
            3: "the picture is not a JPEG",
            6: "the picture is too large, 5000x5000 pixels",
        },
        "missing": {
            4: "is not in the folder",
            5: "is not in the folder",
            10: "names no picture",
            15: "names no picture",
        },
        "invalid": {
            7: "label.label_direction: Expected int, got str",
            8: "label.label_direction: 9 is not below nb_dir 5",
            9: "missing key label",
            11: "to_delete: Expected bool, got str",
            14: "label_fingerprint: 00000000000000000000000000000000 is stale",
        },
        "hopeless": {
            10: "file_name: Expected str matching regex",
            12: f"its img_id is '{img_id(13)}'",
            15: "Expected object, got str",
        },
    }
    for kind, faults in told.items():
        assert found[kind].startswith(f"{len(faults)} "), found[kind]
        for number, what in faults.items():
            assert img_id(number) in found[kind], (kind, number)
            assert what in found[kind], (kind, number, found[kind])
    assert "unlabelled no label names unlabelled.jpg" in found["unlabelled"]
    for position in (5, 10, 4):
        assert status(labelizer, f"pic/{position}") == 404
    page.click("nav [data-view=single]")
    keys(page, "Home")
    # one that is of no drive, and the picture without a label
    in_order = [*(number for number in range(20) if number != 15), 15, 20]
    for position, number in enumerate(in_order):
        expect(page.locator("#holder")).to_have_attribute("data-position", str(position))
        is_shown = number not in (1, 2, 3, 4, 5, 6, 10, 15)
        if number != 2:  # half a picture may be shown, with what there is of it
            assert page.locator("#placeholder").is_visible() != is_shown, number
        keys(page, "ArrowRight")
    keys(page, "v")
    expect(page.locator(".tile:not([hidden])")).to_have_count(21)
    labels = [page.locator(f"#tile-{at}").get_attribute("aria-label") for at in range(20)]
    assert "picture broken" in labels[1]
    assert "no picture" in labels[4]
    assert "not valid" in labels[8]
    show_only(page, "broken")
    expect(page.locator("#shown-count")).to_have_text("8 pictures")
    show_only(page, "invalid")
    expect(page.locator("#shown-count")).to_have_text("8 pictures")


def test_invalid_labels_can_be_mended(broken, start, open_page):
    """Texts are read as numbers at one click; the export has what is valid, and says what not."""
    labelizer = start(broken)
    page = open_page(labelizer)
    page.locator("[data-kind=invalid] summary").click()
    page.click("#fix")
    saved(page)
    assert labelizer.entry(7)["direction"] == 3
    page.click("nav [data-view=single]")
    for number, presses in ((8, ["4"]), (9, ["j", "2"]), (14, ["Enter"]), (11, ["x"])):
        keys(page, "o")
        page.fill("#go-to-text", img_id(number))
        keys(page, "Enter")
        expect(page.locator("#img-id")).to_have_text(img_id(number))
        assert pressed(page, "direction") == (-1 if number in (8, 9) else number % 5)
        keys(page, *presses)
    keys(page, "ArrowLeft", "Home", *["ArrowRight"] * 8)
    expect(page.locator("#badges")).to_contain_text("✓ reviewed")
    expect(page.locator("#badges")).not_to_contain_text("not valid")
    show_only(page, "invalid")
    expect(page.locator("#shown-count")).to_have_text("4 pictures")  # three cannot be mended
    keys(page, "Escape")
    page.click("nav [data-view=overview]")
    expect(page.locator("[data-kind=invalid] summary")).to_have_text("1 invalid label")
    expect(page.locator("[data-kind=invalid] li")).to_contain_text([img_id(11)])
    exported = export(page, labelizer)
    for number, direction in ((7, 3), (8, 4), (9, 2), (14, 4)):
        one = validation.parse(exported[img_id(number)])
        assert one.label.label_direction == direction
        assert one.label.created_by == "Zoé"
    assert exported[img_id(14)]["replaces"] == "0" * 32
    assert "replaces" not in exported[img_id(9)] or exported[img_id(9)]["replaces"]
    assert exported[img_id(11)]["to_delete"] is True
    left = page.locator("#left-out li").all_inner_texts()
    assert [one.split(":")[0] for one in left] == [img_id(number) for number in (10, 12, 15)]
    assert exported.keys() == {img_id(n) for n in range(20) if n not in (10, 12, 15)}


NAUGHTY = [
    "A & B <x>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "é\u2028 😀",
]


def test_markup_in_a_text_is_text(tmp_path, start, open_page):
    """Shown as it stands, and exported byte for byte."""
    folder = drive(tmp_path / "drive", 4)
    labels = label_file.read(folder / label_file.NAME)
    for number, text in enumerate(NAUGHTY):
        labels[img_id(number)] |= {"event": text, "comment": text, "our_key": [text, 1.50]}
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    page.locator("#json summary").click()
    for number, text in enumerate(NAUGHTY):
        keys(page, "Home", *["ArrowRight"] * number)
        expect(page.locator("#img-id")).to_have_text(img_id(number))
        expect(page.locator("#json-text")).to_contain_text(json.dumps(text, ensure_ascii=False))
    keys(page, "Home", "4")
    exported = export(page, labelizer)
    for number, text in enumerate(NAUGHTY):
        assert exported[img_id(number)]["event"] == text
        assert exported[img_id(number)]["our_key"] == [text, 1.5]
    lines = dict(enumerate((folder / label_file.NAME).read_bytes().splitlines()))
    exported_lines = labelizer.exports()[-1].read_bytes().splitlines()
    assert [exported_lines[at].strip(b",") for at in (2, 3, 4)] == [
        lines[at].strip(b",") for at in (2, 3, 4)
    ]


def test_a_changed_label_file_stops_and_carries_over(tmp_path, start, open_page, watch):
    """Replaced while it runs: said, not exported; the next start offers to go on."""
    watch.forgive("403", "409", AWAY)
    folder = drive(tmp_path / "drive", 12)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "4", "4", "4", "x")
    saved(page)
    labels = label_file.read(folder / label_file.NAME)
    new = document(30, picture(30))
    (folder / new["file_name"]).write_bytes(picture(30))
    other = document(1, picture(1), steering=0.9)  # another old label than was corrected
    labels = {**labels, new["img_id"]: new, other["img_id"]: other}
    del labels[img_id(2)]
    label_file.write(folder / label_file.NAME, labels)
    digest = hashlib.sha256(labelizer.labels.read_bytes()).hexdigest()
    expect(page.locator("#bars .source")).to_contain_text("has changed")
    page.click("nav [data-view=review]")
    page.click("#export")
    expect(page.locator("#exported")).to_contain_text("has changed since it was opened")
    assert labelizer.exports() == []
    labelizer.stop()
    labelizer.start()
    page.goto(labelizer.url)
    ready(page)
    expect(page.locator("#changed-what")).to_contain_text("4 labels had been worked on. 2 of them")
    assert not page.locator("nav").is_visible()
    page.click("#carry")
    page.wait_for_load_state()
    ready(page)
    expect(page.locator("#progress-count")).to_have_text("2 of 13 reviewed, 15 %")
    assert labelizer.rows(
        "SELECT img_id, direction, deleted FROM entry WHERE reviewed OR deleted"
    ) == [
        (img_id(0), 4, 0),
        (img_id(3), 3, 1),
    ]
    assert len(list(folder.glob("labels.json.labelizer.*.sqlite3"))) == 1
    keys(page, "Control+z")  # also this is a step
    saved(page)
    expect(page.locator("#progress-count")).to_contain_text("0 of 13")
    assert hashlib.sha256(labelizer.labels.read_bytes()).hexdigest() == digest


def test_a_second_page_offers_nothing_until_it_takes_over(tmp_path, start, open_page):
    """Only one decides how to go on; the other sees what it came to."""
    folder = drive(tmp_path / "drive", 12)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "4")
    saved(page)
    page.close()
    labelizer.stop()
    labels = label_file.read(folder / label_file.NAME)
    del labels[img_id(11)]
    label_file.write(folder / label_file.NAME, labels)
    labelizer.start()
    page, second = open_page(labelizer), open_page(labelizer)
    expect(page.locator("#carry")).to_be_enabled()
    expect(second.locator("#carry")).to_be_disabled()
    expect(second.locator("#anew")).to_be_disabled()
    second.click("#bars .stale button")
    second.wait_for_load_state()
    ready(second)
    expect(page.locator("#bars .stale")).to_contain_text("Another tab or browser")
    expect(page.locator("#carry")).to_be_disabled()
    second.click("#carry")
    second.wait_for_load_state()
    ready(second)
    expect(second.locator("#progress-count")).to_have_text("1 of 12 reviewed, 8 %")


def test_a_changed_label_file_can_be_opened_anew(tmp_path, start, open_page):
    folder = drive(tmp_path / "drive", 12)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "4", "4")
    saved(page)
    page.close()
    labelizer.stop()
    labels = label_file.read(folder / label_file.NAME)
    del labels[img_id(11)]
    label_file.write(folder / label_file.NAME, labels)
    labelizer.start()
    page = open_page(labelizer)
    page.click("#anew")
    page.wait_for_load_state()
    ready(page)
    expect(page.locator("#progress-count")).to_have_text("0 of 12 reviewed, 0 %")
    page.click("nav [data-view=single]")
    assert current(page) == img_id(0)
