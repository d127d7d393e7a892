"""The list of changes in the Review."""

from playwright.sync_api import expect

from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, keys


def test_changes_are_listed_with_pictures_and_names(tmp_path, start, open_page):
    """Only what is in sight is in the page, however many changes there are."""
    page = open_page(start(drive(tmp_path / "drive", 400)))
    page.click("nav [data-view=single]")  # enough labels for a model: it opens with the overview
    keys(page, "ArrowRight", "4", "x", "Control+a", "Enter", "Home", "ArrowRight", "Shift+X")
    keys(page, "Home", "j", "Control+s")
    expect(page.locator("#changes-title")).to_have_text("400 changes")
    rows = page.locator("#changes .change")
    expect(rows.nth(1)).to_contain_text("✕ to delete")
    first = rows.nth(0)
    expect(first).to_contain_text("speed 1 fast → 0 slow (0.40 → 0.10)")
    expect(rows.nth(3)).to_contain_text("✓ confirmed")
    expect(first.locator("canvas[data-drawn='0']")).to_be_visible()
    assert 0 < rows.count() < 200
    last = page.locator("[data-change='399']")
    expect(last).to_have_count(0)
    page.locator("#changes .part").last.scroll_into_view_if_needed()
    expect(last).to_contain_text("direction 4 hard right")
    last.locator("button").click()
    assert current(page) == img_id(399)
