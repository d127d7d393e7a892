"""Many pictures at once: selections, ranges, filters, shifts, playing and painting."""

from collections import Counter

import pytest
from playwright.sync_api import expect

from get_data.labels import ids, label_file
from tests.browser.conftest import ready
from tests.browser.drives import document, drive, img_id, picture
from tests.browser.page_actions import counts, current, export, keys, saved, show_only, toast
from tests.helpers.waiting import wait_until

DIRECTIONS = [number % 5 for number in range(40)]


@pytest.fixture
def labelizer(tmp_path, start):
    """A labelizer on forty pictures."""
    return start(drive(tmp_path / "drive", 40))


def directions(labelizer):
    """The direction of each picture, as the work file has it."""
    return [row[0] for row in labelizer.rows("SELECT direction FROM entry ORDER BY position")]


def state(labelizer):
    """All that has been decided about each picture."""
    columns = "direction, speed, reviewed, deleted"
    return labelizer.rows(f"SELECT {columns} FROM entry ORDER BY position")


def tile(page, number):
    return page.locator(f"#tile-{number}")


def test_a_range_of_the_grid_is_one_step(page, labelizer):
    """Shift-click, a digit, one undo, one redo; what changes nothing is no step."""
    before = state(labelizer)
    keys(page, "v")
    tile(page, 3).click()
    tile(page, 9).click(modifiers=["Shift"])
    expect(page.locator("#grid-count")).to_have_text("7 selected")
    keys(page, "2")
    assert toast(page) == "7 pictures → direction 2 (undo: Ctrl+Z)"
    saved(page)
    assert directions(labelizer) == DIRECTIONS[:3] + [2] * 7 + DIRECTIONS[10:]
    assert len(labelizer.operations()) == 1
    after = state(labelizer)
    keys(page, "2")  # once more changes nothing
    assert toast(page) == "0 pictures → direction 2"
    saved(page)
    assert len(labelizer.operations()) == 1
    keys(page, "Control+z")
    saved(page)
    assert state(labelizer) == before
    keys(page, "Control+y")
    saved(page)
    assert state(labelizer) == after


def test_single_tiles_can_be_chosen_with_control(page, labelizer):
    keys(page, "v")
    for number in (2, 6, 10, 6):
        tile(page, number).click(modifiers=["Control"])
    expect(page.locator("#grid-count")).to_have_text("2 selected")
    page.click("#grid-label [data-action=speed][data-value='0']")
    assert toast(page) == "2 pictures → speed 0 (undo: Ctrl+Z)"
    saved(page)
    assert [labelizer.entry(number)["speed"] for number in (2, 6, 10)] == [0, 1, 0]


def test_a_range_under_a_filter_is_of_what_the_filter_shows(page, labelizer):
    """`[`, `]` and X touch only what is shown; the toast counts what the file has."""
    page.click("#histogram-direction [data-value='2']")
    expect(page.locator("#shown-count")).to_have_text("8 pictures")
    keys(page, "Home", "[", *["Control+ArrowRight"] * 3, "]", "x")
    assert toast(page).startswith("4 pictures → marked to delete")
    saved(page)
    assert labelizer.rows("SELECT position FROM entry WHERE deleted") == [(2,), (7,), (12,), (17,)]
    assert len(labelizer.operations()) == 1


def test_a_filter_empties_when_its_pictures_change(page, labelizer):
    """The histogram's numbers are those of the export."""
    page.click("#histogram-direction [data-value='2']")
    keys(page, "Control+a", "3")
    expect(page.locator("#shown-count")).to_have_text("0 pictures")
    expect(page.locator("#single .nothing")).to_contain_text("Nothing fits the filter")
    page.click("#filter-none")
    keys(page, "Home", "x")
    before, now = (counts(page, "direction", side) for side in ("before", "now"))
    speeds = counts(page, "speed", "now")
    exported = export(page, labelizer)
    source = label_file.read(labelizer.labels)

    def recount(labels, key):
        left = [one["label"][key] for one in labels.values() if "to_delete" not in one]
        return [Counter(left)[value] for value in range(5 if key == "label_direction" else 2)]

    assert before == recount(source, "label_direction") == [8, 8, 8, 8, 8]
    assert now == recount(exported, "label_direction") == [7, 8, 0, 16, 8]
    assert speeds == recount(exported, "label_speed")
    table = page.locator("#class-counts tbody tr").all_inner_texts()
    assert [[int(cell) for cell in row.split()[-2:]] for row in table[:5]] == [
        list(pair) for pair in zip(before, now, strict=True)
    ]


def test_a_labelled_picture_leaves_the_filter_and_the_next_takes_its_place(page):
    show_only(page, "unreviewed")
    keys(page, "Escape")
    for number in range(3):
        assert current(page) == img_id(number)
        keys(page, "Enter")
    expect(page.locator("#place")).to_have_text("1 of 37")
    keys(page, "Backspace")
    assert current(page) == img_id(2)


FIELDS = [
    ("#filter-text", "00-00-05", "1 picture"),
    ("#steering-from", "0.3", "16 pictures"),
    ("#steering-to", "-0.3", "16 pictures"),
    ("#throttle-from", "0.2", "20 pictures"),
    ("#throttle-to", "0.2", "20 pictures"),
]


def test_each_field_filters_also_after_a_reload(page):
    for field, value, count in FIELDS:
        page.fill(field, value)
        page.press(field, "Enter")
        expect(page.locator("#shown-count")).to_have_text(count)
        page.reload()
        ready(page)
        expect(page.locator("#shown-count")).to_have_text(count)
        page.click("#filter-none")
        expect(page.locator("#shown-count")).to_have_text("40 pictures")


def test_shift_moves_labels_and_back_exactly(page, labelizer):
    """One step each; to and fro is as before, and so is undone."""
    before = state(labelizer)
    keys(page, "Control+a", ",")
    assert toast(page).startswith("40 labels moved 1 earlier, 1 left without one are marked")
    saved(page)
    assert directions(labelizer) == DIRECTIONS[1:] + DIRECTIONS[-1:]
    assert labelizer.rows("SELECT position FROM entry WHERE deleted") == [(39,)]
    keys(page, ",", ",")
    saved(page)
    assert directions(labelizer)[:37] == DIRECTIONS[3:]
    assert labelizer.rows("SELECT position FROM entry WHERE deleted") == [(37,), (38,), (39,)]
    assert len(labelizer.operations()) == 3
    keys(page, ".", ".", ".")
    saved(page)
    assert state(labelizer) == before
    keys(page, *["Control+z"] * 6)
    saved(page)
    assert state(labelizer) == before
    page.reload()
    ready(page)
    page.fill("#shift-by", "5")
    page.keyboard.press("Tab")
    keys(page, "Control+a")
    page.click("#panel [data-action=shift-later]")
    saved(page)
    assert directions(labelizer)[5:] == DIRECTIONS[:35]
    page.reload()  # also after a reload the way back is known
    ready(page)
    page.fill("#shift-by", "5")
    keys(page, "Tab", "Control+a")
    page.click("#panel [data-action=shift-earlier]")
    saved(page)
    assert state(labelizer) == before


def test_shift_does_not_cross_a_pause(tmp_path, start, open_page):
    """Labels of one run never go to pictures of another."""
    folder = tmp_path / "drive"
    folder.mkdir()
    labels = {}
    for number in [*range(5), *range(1000, 1005)]:
        one = document(number, picture(number))
        labels[one["img_id"]] = one
        (folder / one["file_name"]).write_bytes(picture(number))
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "Control+a", ",")
    saved(page)
    assert directions(labelizer) == [1, 2, 3, 4, 4] * 2
    assert labelizer.rows("SELECT position FROM entry WHERE deleted") == [(4,), (9,)]


def test_shift_asks_for_a_selection(page, labelizer):
    keys(page, ",")
    assert toast(page).startswith("Select the pictures whose labels to move")
    saved(page)
    assert labelizer.operations() == []


MOVES = ["ArrowRight", "ArrowLeft", "PageDown", "PageUp", "Home", "End", "n", "Shift+N"]


def test_going_on_leaves_the_range(page, labelizer):
    """The next label is for the range, as is said; those after it are for the picture shown."""
    chosen = page.locator("#direction .chosen")
    for move in MOVES:
        keys(page, "Home", *["ArrowRight"] * 5, "[", "ArrowRight", "ArrowRight", "]")
        expect(chosen).to_have_text("3 selected · Esc")
        keys(page, "4")
        assert toast(page).startswith("3 pictures → direction 4")
        keys(page, move)
        expect(chosen).to_have_text("")
        position = place(page)
        keys(page, "Shift+X")
        saved(page)
        assert labelizer.rows("SELECT position FROM entry WHERE deleted") == [(position,)], move
        assert directions(labelizer)[4:9] == [4, 4, 4, 4, 3]
        keys(page, "Control+z", "Control+z")


def test_playing_and_jumping_leave_the_range(page):
    chosen = page.locator("#selected-count")
    for leave in (
        lambda: keys(page, " ", " "),
        lambda: (keys(page, "o"), page.fill("#go-to-text", "20"), keys(page, "Enter")),
        lambda: page.click("#strip [data-offset='3']"),
    ):
        keys(page, "Home", "[", "ArrowRight", "]")
        expect(chosen).to_have_text("2 pictures")
        leave()
        expect(chosen).to_have_text("")


def test_the_grid_keeps_the_selection_on_the_way(page):
    """It is in sight there."""
    keys(page, "v", "Shift+ArrowRight", "ArrowRight")
    expect(page.locator("#grid-count")).to_have_text("2 selected")


@pytest.fixture
def long(tmp_path, start, open_page):
    """A labelizer on two hundred pictures, and its page."""
    labelizer = start(drive(tmp_path / "long", 200))
    return labelizer, open_page(labelizer)


def place(page):
    return int(page.locator("#place").inner_text().split()[0]) - 1


def until_place(page, at_least):
    """Waits until the player has come so far."""
    wait_until(lambda: page.wait_for_timeout(20) or place(page) >= at_least)


# Frame by frame, for as many as are asked for: when it was, and the place that was shown.
FRAMES = """(count) => new Promise((done) => {
    const seen = [];
    const look = (now) => {
        seen.push([now, Number.parseInt(document.getElementById("place").textContent) - 1]);
        if (seen.length === count) done(seen);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


@pytest.mark.parametrize(("key", "heading"), [(" ", 1), ("Shift+Space", -1)])
def test_playing_keeps_its_rate_and_stops(long, key, heading):
    """20 a second, by the page's own clock; Space stops; backwards too."""
    _, page = long
    keys(page, "Home" if heading > 0 else "End", key)
    frames = page.evaluate(FRAMES, 40)
    keys(page, key)
    expect(page.locator("body")).not_to_contain_class("playing")
    stopped = place(page)
    moving = [(now, at) for now, at in frames if 0 < at < 199]
    assert len({at for _, at in moving}) >= 3
    (first, begin), (last, end) = moving[0], moving[-1]
    assert abs(heading * (end - begin) - 20 * (last - first) / 1000) <= 2
    page.evaluate(FRAMES, 10)
    assert place(page) == stopped


# A key of the page's own, and the place at that very moment.
PRESS = """([type, key]) => {
    document.body.dispatchEvent(new KeyboardEvent(type,
        { code: `Key${key.toUpperCase()}`, key, bubbles: true, cancelable: true }));
    return Number.parseInt(document.getElementById("place").textContent) - 1;
}"""


def test_painting_is_one_step(long):
    """A key held while playing; it begins where the hand decided."""
    labelizer, page = long
    keys(page, "ArrowDown", "ArrowDown", *["PageDown"] * 3, " ")
    until_place(page, 33)
    began = page.evaluate(PRESS, ["keydown", "d"])
    until_place(page, began + 4)
    ended = page.evaluate(PRESS, ["keyup", "d"])
    keys(page, " ")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["text"] == "painted direction 2"
    painted = [row[0] for row in labelizer.rows("SELECT position FROM entry WHERE reviewed")]
    assert painted == list(range(began - 2, ended + 1))  # 300 ms at 5 a second
    assert {labelizer.entry(position)["direction"] for position in painted} == {2}
    keys(page, "Control+z")
    saved(page)
    assert labelizer.rows("SELECT count(*) FROM entry WHERE reviewed") == [(0,)]


def test_a_reload_while_it_plays_stays_where_it_is(long):
    """The address is asked for as it was some pictures ago; the place is kept all the same."""
    _, page = long
    keys(page, "ArrowUp", " ")
    until_place(page, 20)
    page.evaluate(
        """() => addEventListener("pagehide", () => sessionStorage.setItem("left",
            document.getElementById("img-id").textContent))"""
    )
    page.reload()
    ready(page)
    left = page.evaluate("() => sessionStorage.getItem('left')")
    assert left >= img_id(20)
    assert current(page) == left


def test_the_place_is_kept_while_it_plays(long):
    """Not only when it rests: a browser may be killed."""
    _, page = long
    keys(page, "ArrowDown", "ArrowDown", " ")
    page.wait_for_function(
        "(id) => decodeURIComponent(location.hash).includes(id) "
        "&& document.body.classList.contains('playing')",
        arg="id=20240501T12-00-00-",
    )
    before = page.evaluate("() => location.hash")
    page.wait_for_function("(before) => location.hash !== before", arg=before)
    assert page.evaluate("() => document.body.classList.contains('playing')")


CHOSEN_TEXT = "() => getSelection().toString()"


def test_a_click_with_shift_selects_pictures_and_no_text(page):
    page.click("#img-id")  # where a selection of text would begin
    page.locator("#strip [data-offset='3']").click(modifiers=["Shift"])
    expect(page.locator("#selected-count")).to_have_text("4 pictures")
    assert page.evaluate(CHOSEN_TEXT) == ""
    keys(page, "Escape", "v")
    tile(page, 1).click()
    tile(page, 9).click(modifiers=["Shift"])
    tile(page, 12).dblclick(modifiers=["Shift"])
    assert page.evaluate(CHOSEN_TEXT) == ""


def test_a_click_on_a_class_stops_playing_and_labels(long):
    """No key comes up that could end painting."""
    labelizer, page = long
    keys(page, " ")
    page.wait_for_timeout(200)
    page.click("#direction [data-value='4']")
    expect(page.locator("body")).not_to_contain_class("playing")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["text"] == "direction 4"
    [[first, last]] = operation["positions"]
    assert first == last == place(page) - 1


def test_another_key_does_not_end_painting(long):
    """The rate may change while a label key is held."""
    labelizer, page = long
    keys(page, "ArrowDown", "ArrowDown", " ")
    until_place(page, 2)
    began = page.evaluate(PRESS, ["keydown", "d"])
    keys(page, "ArrowUp")
    until_place(page, began + 4)
    assert labelizer.operations() == []
    assert page.evaluate("() => document.body.classList.contains('playing')")
    ended = page.evaluate(PRESS, ["keyup", "d"])
    keys(page, " ")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["text"] == "painted direction 2"
    assert operation["positions"] == [[began - 2, ended]]


def test_the_most_suspicious_come_first(tmp_path, start, open_page):
    """A label unlike what the driver steered, and one unlike both neighbours."""
    folder = drive(tmp_path / "drive", 30, steering=0.0)
    labels = label_file.read(folder / label_file.NAME)
    one = document(17, picture(17), steering=-0.9)
    one["label"]["raw_direction"] = 0.0
    del one["label"]["steering"]  # as in a label of an earlier version
    labels[img_id(17)] = one
    label_file.write(folder / label_file.NAME, labels)
    page = open_page(start(folder))
    page.select_option("#filter-order", "suspicious")
    keys(page, "Escape", "Home")
    assert current(page) == img_id(17)
    expect(page.locator("#badges")).to_contain_text("steered 2")
    expect(page.locator("#badges")).to_contain_text("unlike its neighbours")
    keys(page, "d")
    assert current(page) != img_id(17)


def test_a_car_that_stands_still_is_found(tmp_path, start, open_page):
    folder = drive(tmp_path / "drive", 40)
    for number in range(10, 25):
        (folder / f"{img_id(number)}.jpg").write_bytes(picture(10))
    labels = label_file.read(folder / label_file.NAME)
    for number in range(10, 25):
        labels[img_id(number)].pop("picture_size")
    label_file.write(folder / label_file.NAME, labels)
    page = open_page(start(folder))
    page.click("nav [data-view=overview]")
    expect(page.locator("#looked-at")).to_have_text("All pictures were looked at.")
    page.click("nav [data-view=grid]")
    show_only(page, "still")
    expect(page.locator("#shown-count")).to_have_text("15 pictures")
    keys(page, "Escape", "End")
    expect(page.locator(".tile.current")).to_have_attribute("title", img_id(24))
    page.wait_for_timeout(400)  # the place is kept a moment after the last step
    page.reload()
    ready(page)
    expect(page.locator("#shown-count")).to_have_text("15 pictures")
    expect(page.locator(".tile.current")).to_have_attribute("title", img_id(24))


def test_what_is_found_later_comes_into_the_filter(tmp_path, start, open_page):
    """The look at the pictures goes on while the page is open; the place is kept meanwhile."""
    folder = drive(tmp_path / "drive", 40)
    page = open_page(start(folder))
    found = {"looked_at": 12, "broken": [], "dull": [], "still": []}
    page.route("**/api/findings", lambda route: route.fulfill(json=found))
    page.goto(f"{page.url.split('#')[0]}?again#view=grid&state=still&id={img_id(17)}")
    ready(page)
    expect(page.locator("#shown-count")).to_have_text("0 pictures")
    found |= {"looked_at": 30, "still": [[10, 24]]}
    expect(page.locator("#shown-count")).to_have_text("15 pictures")
    expect(page.locator(".tile.current")).to_have_attribute("title", img_id(17))
    page.select_option("#filter-order", "suspicious")
    show_only(page)
    keys(page, "Escape", "Home", "ArrowRight")
    shown = page.locator(".tile.current").get_attribute("title")
    found |= {"looked_at": 35, "dull": [39]}
    expect(page.locator("#tile-19")).to_have_attribute("title", img_id(39))
    expect(page.locator(".tile.current")).to_have_attribute("title", shown)
    page.click("#filter-none")
    bottom = page.evaluate(
        "() => { const one = document.getElementById('scroller');"
        " one.scrollTop = one.scrollHeight; return one.scrollTop; }"
    )
    assert bottom > 200
    found |= {"looked_at": 40, "broken": [[39, "said now"]]}
    expect(page.locator("#tile-39 .signs")).to_have_text("⚡")
    assert page.evaluate("() => document.getElementById('scroller').scrollTop") == bottom


def test_an_edit_of_many_stays_with_the_same_classes(tmp_path, start, open_page):
    """Mixed numbers of classes in one file: said, and never crossed."""
    folder = drive(tmp_path / "drive", 10)
    labels = label_file.read(folder / label_file.NAME)
    for number in (3, 4):
        one = labels[img_id(number)]
        one["label"] |= {"nb_dir": 3, "label_direction": 1}
        one["label_fingerprint"] = ids.fingerprint(img_id(number), one["label"])
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    expect(page.locator("#problems")).to_contain_text("2 different sets of classes")
    page.click("nav [data-view=single]")
    keys(page, "Home", "Control+a", "2")
    assert (
        toast(page) == "8 pictures → direction 2, 2 skipped: they have other classes (undo: Ctrl+Z)"
    )
    saved(page)
    assert [labelizer.entry(number)["direction"] for number in (2, 3, 4, 5)] == [2, 1, 1, 2]
    keys(page, "Enter")
    assert toast(page).startswith("0 pictures → confirmed, 2 skipped")
    keys(page, "x")
    assert toast(page) == (
        "8 pictures → marked to delete, 2 skipped: they have other classes (undo: Ctrl+Z)"
    )
    saved(page)
    assert labelizer.rows("SELECT position FROM entry WHERE NOT deleted") == [(3,), (4,)]
    assert labelizer.rows("SELECT count(*) FROM entry WHERE reviewed") == [(8,)]
