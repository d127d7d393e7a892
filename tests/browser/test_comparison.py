"""Labels of another person on the page: agreement, differences, taking them over."""

import pytest
from playwright.sync_api import expect

from get_data.labels import edits, label_file, validation
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, export, keys, pressed, saved
from tests.conftest import START


@pytest.fixture
def compared(tmp_path, start, open_page):
    """A labelizer and its page: Max has other directions of 2 and 5, and deletes 7."""
    folder = drive(tmp_path / "drive")
    labels = label_file.read(folder / label_file.NAME)
    for number, direction, steering in ((2, 3, 0.35), (5, 1, None)):
        labels[img_id(number)] = edits.corrected(
            labels[img_id(number)],
            created_by="Max",
            direction=direction,
            speed=labels[img_id(number)]["label"]["label_speed"],
            steering=steering,
            created_on=START,
        )
    labels[img_id(7)] = edits.marked_for_deletion(labels[img_id(7)])
    label_file.write(tmp_path / "max.json", labels)
    labelizer = start(folder, "--compare", tmp_path / "max.json")
    return labelizer, open_page(labelizer)


def test_differences_are_taken_over_or_kept(compared):
    """One key a difference; undo brings it back; the agreement stays what it was on opening."""
    labelizer, page = compared
    overview = page.locator("#overview .compared")
    expect(overview).to_contain_text("Compared with Max")
    direction = page.locator("[data-agreement=direction]")
    expect(direction).to_contain_text("direction 82 % the same")
    expect(direction.locator(".different")).to_have_text(["1", "1"])
    expect(overview.locator(".differences")).to_have_text("3 differences")
    overview.locator(".show-differences").click()
    expect(page.locator("#shown-count")).to_have_text("3 pictures")
    assert current(page) == img_id(2)
    expect(page.locator("#other-label")).to_have_text("3 right · 1 fast (0.35)")
    assert page.locator("#other-needle").get_attribute("d")
    expect(page.locator(".theirs")).to_have_attribute("data-value", "3")
    keys(page, "u")
    assert current(page) == img_id(5)
    keys(page, "Enter", "u")
    saved(page)
    assert labelizer.entry(7)["deleted"] == 1
    expect(page.locator("#panel .differences")).to_have_text("1 difference")
    keys(page, "Control+z")
    expect(page.locator("#panel .differences")).to_have_text("2 differences")
    keys(page, "Control+Shift+z")
    exported = export(page, labelizer)
    taken = validation.parse(exported[img_id(2)]).label
    assert (taken.created_by, taken.label_direction, taken.steering) == ("Zoé", 3, 0.35)
    kept = validation.parse(exported[img_id(5)]).label
    assert (kept.created_by, kept.label_direction) == ("Zoé", 0)
    assert exported[img_id(7)]["to_delete"] is True
    expect(direction).to_contain_text("82 %")


def test_a_selection_takes_the_other_labels_in_one_step(compared):
    labelizer, page = compared
    page.click("nav [data-view=grid]")
    keys(page, "Control+a", "u")
    saved(page)
    assert len(labelizer.operations()) == 1
    expect(page.locator("#panel .differences")).to_contain_text("No differences")
    keys(page, "Escape", "v", "Home")
    keys(page, "u")  # nothing to take
    assert (current(page), pressed(page, "direction")) == (img_id(0), 0)
    assert len(labelizer.operations()) == 1
