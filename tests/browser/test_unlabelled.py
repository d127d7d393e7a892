"""Pictures without a label, labelled on the page."""

from playwright.sync_api import expect

from get_data.labels import ids, label_file, validation
from get_data.labels.constants import NOBODY
from tests.browser.drives import drive, img_id, picture
from tests.browser.page_actions import current, export, keys, pressed, saved, show_only


def test_a_folder_without_labels_is_labelled(tmp_path, start, open_page):
    """One key a picture once a speed is known; undone, a picture has no label again."""
    folder = drive(tmp_path / "drive", 6)
    (folder / label_file.NAME).unlink()
    (folder / f"{img_id(5)}.jpg").write_bytes(picture(5)[:300])
    labelizer = start(folder)
    page = open_page(labelizer)
    expect(page.locator("[data-kind=unlabelled] summary")).to_have_text(
        "6 pictures without a label"
    )
    expect(page.locator("#looked-at")).to_have_text("All pictures were looked at.")
    page.locator("[data-kind=unlabelled] summary").click()
    page.click("#label-new")
    shown = page.locator("#shown-count")
    expect(shown).to_have_text("5 pictures")  # the broken one is not among them
    keys(page, "Enter", "x")  # there is nothing to keep or to delete
    keys(page, "d")  # the speed is unknown still: it stays
    assert (current(page), pressed(page, "direction"), pressed(page, "speed")) == (img_id(0), 2, -1)
    keys(page, "k")
    expect(page.locator("#img-id")).to_have_text(img_id(1))
    keys(page, "a", "g")
    expect(shown).to_have_text("2 pictures")
    keys(page, "Backspace")
    expect(shown).to_have_text("3 pictures")
    assert (current(page), pressed(page, "speed")) == (img_id(2), -1)
    show_only(page)
    page.select_option("#filter-order", "unlabelled")
    keys(page, "Home")
    assert current(page) == img_id(2)
    keys(page, "End")
    assert current(page) == img_id(5)
    keys(page, "s")  # a broken picture gets no label
    saved(page)
    assert labelizer.rows("SELECT count(*) FROM entry WHERE reviewed") == [(2,)]
    exported = export(page, labelizer)
    assert list(exported) == [img_id(0), img_id(1)]
    for number, direction in ((0, 2), (1, 0)):
        annotation = validation.parse(exported[img_id(number)]).label
        assert (annotation.label_direction, annotation.label_speed) == (direction, 1)
        assert annotation.created_by == "Zoé"
    page.close()
    labelizer.stop()
    assert (labelizer.counts["created"], labelizer.counts["unlabelled"]) == (2, 4)


def test_labels_are_moved_over_a_picture_without_one(tmp_path, start, open_page):
    """Page and server agree; there and back leaves everything as it was."""
    folder = drive(tmp_path / "drive", 6)
    labels = label_file.read(folder / label_file.NAME)
    del labels[img_id(3)]
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer, "#view=single")
    keys(page, "Control+a", ".")
    saved(page)
    marked = {name for (name,) in labelizer.rows("SELECT img_id FROM entry WHERE deleted")}
    assert marked == {img_id(0), img_id(4)}
    assert labelizer.entry(3)["direction"] == labels[img_id(2)]["label"]["label_direction"]
    keys(page, ",")
    saved(page)
    query = "SELECT count(*) FROM entry WHERE direction != old_direction OR deleted"
    assert labelizer.rows(query) == [(0,)]


def test_imported_pictures_that_nobody_has_labelled_come_first(tmp_path, start, open_page):
    """A label by nobody waits as a missing one does, until it is changed or confirmed."""
    folder = drive(tmp_path / "drive", 5)
    labels = label_file.read(folder / label_file.NAME)
    for number in (1, 3):
        label = labels[img_id(number)]
        kept = {"label_direction": 2, "label_speed": 1, "nb_dir": 5, "nb_speed": 2}
        label["label"] = {"created_by": NOBODY, **kept}
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    page.select_option("#filter-order", "unlabelled")
    keys(page, "Home")
    assert current(page) == img_id(1)
    show_only(page, "unlabelled")
    shown = page.locator("#shown-count")
    expect(shown).to_have_text("2 pictures")
    keys(page, "a")  # hardest left
    expect(shown).to_have_text("1 picture")
    assert current(page) == img_id(3)
    keys(page, "Enter")  # the middle is right
    expect(shown).to_have_text("0 pictures")
    saved(page)
    exported = export(page, labelizer)
    for number, direction in ((1, 0), (3, 2)):
        label = exported[img_id(number)]
        assert (label["label"]["created_by"], label["label"]["label_direction"]) == (
            "Zoé",
            direction,
        )
