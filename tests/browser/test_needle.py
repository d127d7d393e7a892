"""Steering and throttle set as finely as a person sees: the needle dragged, nudged, smoothed."""

import pytest
from playwright.sync_api import expect

from get_data.labels import label_file
from get_data.labels.classes import Classes
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, export, keys, pressed, saved, toast

# Where on the page a needle of this steering ends; the units are those of the drawing.
TIP = """(steering) => {
    const overlay = document.getElementById("overlay");
    const angle = steering * Math.PI / 3;
    const at = new DOMPoint(50 + 30 * Math.sin(angle), 72 - 30 * Math.cos(angle));
    const { x, y } = at.matrixTransform(overlay.getScreenCTM());
    return [x, y];
}"""


@pytest.fixture
def labelizer(tmp_path, start):
    """A labelizer on ten pictures; picture 2 was steered straight ahead, 3 to the right."""
    return start(drive(tmp_path / "drive", 10))


def drag(page, *steerings):
    """Drag the needle from the first steering over the others."""
    page.mouse.move(*page.evaluate(TIP, steerings[0]))
    page.mouse.down()
    for steering in steerings[1:]:
        page.mouse.move(*page.evaluate(TIP, steering))
    page.mouse.up()


def values(labelizer):
    """Steering and throttle that were set, by picture."""
    rows = labelizer.rows("SELECT position, steering, throttle FROM entry ORDER BY position")
    return {position: row for position, *row in rows if row != [None, None]}


def test_the_needle_is_dragged_and_the_class_follows(page, labelizer):
    keys(page, "ArrowRight", "ArrowRight")
    expect(page.locator("#values")).to_have_text("steering 0.00 · throttle 0.40")
    drag(page, 0, 0.1, 0.3)
    expect(page.locator("#values")).to_contain_text("steering 0.30 (driver 0.00)")
    assert current(page) == img_id(2)
    assert pressed(page, "direction") == Classes().direction(0.3) == 3
    saved(page)
    assert values(labelizer) == {2: [pytest.approx(0.3, abs=0.005), None]}
    labels = export(page, labelizer)
    label = labels[img_id(2)]["label"]
    assert label["steering"] == pytest.approx(0.3, abs=0.005)
    assert (label["raw_direction"], label["label_direction"]) == (0.0, 3)
    source = label_file.read(labelizer.labels)
    assert [name for name in source if labels[name] != source[name]] == [img_id(2)]


def test_a_drag_is_one_step_to_undo(page, labelizer):
    keys(page, "ArrowRight", "ArrowRight")
    drag(page, 0, 0.5, -0.2, 0.25)
    saved(page)
    assert [operation["kind"] for operation in labelizer.operations()] == ["value"]
    keys(page, "Control+z")
    expect(page.locator("#values")).to_contain_text("steering 0.00 ·")
    assert pressed(page, "direction") == 2
    saved(page)
    assert values(labelizer) == {}
    keys(page, "Control+y")
    saved(page)
    assert values(labelizer)[2][0] == pytest.approx(0.25, abs=0.005)


def test_the_needle_goes_no_further_than_the_lock(page, labelizer):
    keys(page, "ArrowRight", "ArrowRight")
    drag(page, 0, 0.8, 1.4)
    saved(page)
    assert values(labelizer) == {2: [1, None]}


def test_a_click_on_the_needle_changes_nothing(page, labelizer):
    keys(page, "ArrowRight", "ArrowRight")
    drag(page, 0)
    drag(page, 0, 0.4, 0)
    keys(page, "x")
    saved(page)
    assert [operation["kind"] for operation in labelizer.operations()] == ["delete"]


def test_keys_nudge_the_active_value_of_a_picture_or_a_selection(page, labelizer):
    keys(page, "ArrowRight", "ArrowRight", "e", "e", "q")
    expect(page.locator("#values")).to_contain_text("steering 0.02 (driver 0.00)")
    keys(page, "Shift+ArrowRight", "t", "q")
    assert "2 pictures → throttle set" in toast(page)
    saved(page)
    assert values(labelizer) == {2: [0.02, 0.38], 3: [None, 0.08]}


def test_a_nudge_stops_at_the_end(page, labelizer):
    keys(page, *["q"] * 10)
    assert "stays as it is" not in toast(page)
    keys(page, "q")
    assert "stays as it is" in toast(page)
    saved(page)
    assert values(labelizer) == {0: [-1, None]}


def test_the_steering_of_a_selection_is_smoothed(page, labelizer):
    """Each is the average over two pictures on both sides; at the end there are fewer."""
    keys(page, "w")
    assert "Select" in toast(page)
    keys(page, "[", *["ArrowRight"] * 2, "]", "w")
    saved(page)
    steering = [number % 5 * 0.4 - 0.8 for number in range(10)]
    averages = {0: sum(steering[:3]) / 3, 1: sum(steering[:4]) / 4}
    smoothed = {position: row[0] for position, row in values(labelizer).items()}
    assert smoothed == pytest.approx(averages, abs=1e-6)  # that of picture 2 is what it has
    assert [operation["kind"] for operation in labelizer.operations()] == ["smooth"]
    keys(page, "Control+z")
    saved(page)
    assert values(labelizer) == {}
