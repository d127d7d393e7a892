"""Corrections that were applied and fetched again, as the page tells of them."""

from playwright.sync_api import expect

from get_data import search_and_download, upload_data, upload_to_db
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, export, keys, saved


def test_the_next_round_starts_by_itself(tmp_path, call, start, open_page):
    """The page says what is in the file; reviewed labels stay so, and are no changes any more."""
    recording, folder = drive(tmp_path / "recording"), tmp_path / "training"
    call(upload_data, recording)
    call(search_and_download, "-p", folder)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "4", "Enter", "x")
    export(page, labelizer)
    page.close()
    labelizer.stop()
    assert call(upload_to_db, labelizer.exports()[0], "-p", folder, "-y")[0] == 0
    call(search_and_download, "-p", folder)
    labelizer.start()
    page = open_page(labelizer)
    expect(page.locator("#round-title")).to_have_text(
        "Your 3 corrections are in this file (1 label deleted)."
    )
    expect(page.locator("#round-what")).to_contain_text("2 reviewed labels are the same")
    [archive] = folder.glob("labels.json.labelizer.*.sqlite3")
    expect(page.locator("#round-what")).to_contain_text(archive.name)
    expect(page.locator("#progress-count")).to_contain_text("3 of 12 reviewed")
    page.click("nav [data-view=review]")
    expect(page.locator("#review-summary")).to_have_text(
        "0 labels changed, 0 confirmed, 0 to delete"
    )
    page.click("nav [data-view=single]")
    keys(page, "Home", "n")
    # those are passed over, the picture whose label was deleted too; it is still there
    assert current(page) == img_id(3)
    keys(page, "ArrowLeft")
    expect(page.locator("#badges")).to_contain_text("deleted before")
    keys(page, "Home", "3")
    saved(page)
    exported = export(page, labelizer)
    assert sum("replaces" in label for label in exported.values()) == 1
