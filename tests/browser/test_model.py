"""The model's needle, the suspicious list, and looking around from it in time."""

import pytest
from playwright.sync_api import expect

from get_data.labels import ids, label_file
from tests.browser.conftest import ready
from tests.browser.drives import document, drive, img_id, picture
from tests.browser.page_actions import (
    current,
    keys,
    pressed,
    saved,
    serve_model,
    show_only,
    states,
    toast,
)

COUNT = 40


@pytest.fixture
def labelizer(tmp_path, start):
    """A labelizer on forty pictures."""
    return start(drive(tmp_path / "drive", COUNT))


@pytest.fixture
def judged(labelizer, context, watch):
    """Return a function that opens the page with a model of the forty pictures."""

    def judged(address="#view=single", **model):
        page = watch.page(context.new_page())
        serve_model(page, COUNT, **model)
        page.goto(labelizer.url + address)
        ready(page)
        return page

    return judged


def at(page, number):
    """Wait until the picture is shown."""
    expect(page.locator("#img-id")).to_have_text(img_id(number))


def strip(page):
    """The ids of the film strip, without those of the caption."""
    tiles = page.locator("#strip .neighbour:not(.none)").all()
    return [tile.get_attribute("title").split(":")[0] for tile in tiles]


def test_one_key_takes_the_needle_of_the_model(judged, labelizer):
    """The class follows, the next picture comes, one step undoes it."""
    page = judged()
    expect(page.locator("#model-needle")).not_to_have_attribute("d", "")
    expect(page.locator("#legend")).to_contain_text("model 0.50")
    keys(page, "ArrowRight", "ArrowRight", "m")
    at(page, 3)
    saved(page)
    [operation] = labelizer.operations()
    assert operation["kind"] == "value"
    assert operation["set"]["steering"] == [[0.5, 1]]
    assert labelizer.entry(2) == {"direction": 3, "speed": 1, "reviewed": 1, "deleted": 0}
    keys(page, "Control+z")
    saved(page)
    assert labelizer.entry(2)["direction"] == 2


def test_each_picture_of_a_selection_gets_its_own_needle(judged, labelizer):
    page = judged(predicted=[(position - 20) / 20 for position in range(COUNT)])
    keys(page, *["ArrowRight"] * 5, "[", *["ArrowRight"] * 3, "]", "m")
    assert toast(page).startswith("4 pictures")
    at(page, 9)
    expect(page.locator("#selected-count")).to_have_text("")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["set"]["steering"] == [[value, 1] for value in (-0.75, -0.7, -0.65, -0.6)]


def test_a_picture_without_a_needle_says_so(judged, labelizer):
    page = judged(predicted=[None] * COUNT)
    expect(page.locator("#legend .of-model")).to_be_hidden()
    keys(page, "m")
    assert "does not know" in toast(page)
    saved(page)
    assert labelizer.operations() == []


def test_the_overview_leads_to_the_most_suspicious_label(judged):
    """The first wrong label is two clicks, or a click and a key, away."""
    page = judged("", scores={30: 0.9, 8: 0.8, 21: 0.7})
    expect(page.locator("#overview .suspects-text")).to_contain_text("3 labels")
    page.click("#overview [data-action=start-suspicious]")
    at(page, 30)
    assert states(page) == ["unreviewed"]
    expect(page.locator("#place")).to_have_text("1 of 40")
    keys(page, "m")
    at(page, 8)
    expect(page.locator("#panel .suspects-text")).to_contain_text("2 labels")
    keys(page, "Enter")
    at(page, 21)
    keys(page, "a")
    expect(page.locator("#panel .suspects-text")).to_contain_text("No more labels look wrong")
    show_only(page, "suspicious")
    expect(page.locator("#single .nothing")).to_contain_text("No more labels look wrong")


def test_one_looks_around_in_time_and_goes_on_in_the_list(judged, labelizer):
    """Strip, arrows and Play follow time whatever the list; a label key goes on in the list."""
    page = judged("", scores={30: 0.9, 8: 0.8, 21: 0.7})
    page.click("#overview [data-action=start-suspicious]")
    at(page, 30)
    assert strip(page) == [img_id(number) for number in range(20, 40)]
    keys(page, "ArrowRight", "ArrowRight")
    at(page, 32)
    expect(page.locator("#place")).to_have_text("1 of 40, 2 later")
    assert strip(page) == [img_id(number) for number in range(22, 40)]
    keys(page, "g")  # of picture 32, which is in no list
    at(page, 30)
    keys(page, "Enter")
    at(page, 8)
    keys(page, "ArrowLeft", "n")
    at(page, 8)
    keys(page, "n")
    at(page, 21)
    keys(page, "Control+ArrowLeft")
    at(page, 8)
    keys(page, " ")
    page.wait_for_function(
        "(id) => document.getElementById('img-id').textContent > id", arg=img_id(9)
    )
    keys(page, " ")
    saved(page)
    assert labelizer.entry(32)["direction"] == 4
    assert labelizer.entry(30)["reviewed"] == 1


def test_without_a_filter_the_suspicious_order_passes_over_what_is_done(judged):
    page = judged(scores={30: 0.9, 31: 0.8, 8: 0.7}, clips=[(30, 33)])
    page.select_option("#filter-order", "suspicious")
    keys(page, "Escape")
    at(page, 30)
    keys(page, "c", "4", "Escape")
    at(page, 30)
    keys(page, "Enter")
    at(page, 8)


def test_a_run_is_corrected_with_two_keys(judged, labelizer):
    page = judged("", clips=[(10, 17), (25, 27)], scores={12: 0.9})
    page.click("#overview [data-action=start-suspicious]")
    at(page, 12)
    keys(page, "c")
    expect(page.locator("#selected-count")).to_have_text("8 pictures")
    keys(page, "m")
    at(page, 25)
    expect(page.locator("#place")).to_have_text("1 of 32")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["positions"] == [[10, 17]]
    keys(page, "Control+z")
    expect(page.locator("#place")).to_contain_text("of 40")


def test_a_line_takes_the_place_of_a_stretch_that_jumps(tmp_path, start, open_page):
    """C finds where the steering jumps to and fro, with no model; Shift+W joins its ends."""
    folder = drive(tmp_path / "drive", 30, steering=0.1)
    labels = label_file.read(folder / label_file.NAME)
    for number in range(11, 30):
        label = document(number, picture(number), steering=0.8 if number < 18 else 0.3)
        labels[label["img_id"]] = label
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, *["ArrowRight"] * 14, "c")
    expect(page.locator("#selected-count")).to_have_text("7 pictures")
    keys(page, "Shift+W")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["positions"] == [[11, 17]]
    steering = [value for value, count in operation["set"]["steering"] for _ in range(count)]
    line = [0.1 + 0.2 * step / 8 for step in range(1, 8)]  # from picture 10 to picture 18
    assert steering == pytest.approx(line, abs=1e-6)
    expect(page.locator("#selected-count")).to_have_text("7 pictures")  # to go on with them
    keys(page, "Home", "c")
    assert "No stretch" in toast(page)


def test_a_picture_that_is_nudged_stays_in_sight(judged):
    """The filter hides it from the first nudge on; the second is for the same picture."""
    page = judged("", scores={30: 0.9, 8: 0.8})
    page.click("#overview [data-action=start-suspicious]")
    keys(page, "e", "e", "e")
    at(page, 30)
    expect(page.locator("#values")).to_contain_text("0.74 (driver")
    keys(page, "Enter")
    at(page, 8)


def test_a_selection_that_is_nudged_stays_selected(judged, labelizer):
    """The filter hides it from the first nudge on; the second is for the same pictures."""
    page = judged("", clips=[(10, 13)], scores={12: 0.9})
    page.click("#overview [data-action=start-suspicious]")
    keys(page, "c", "q", "q")
    at(page, 12)
    saved(page)
    operations = labelizer.operations()
    assert [each["positions"] for each in operations] == [[[10, 13]]] * 2
    keys(page, "n")
    at(page, 0)


def test_a_label_of_a_person_is_settled(tmp_path, start, context, watch):
    folder = drive(tmp_path / "drive", COUNT)
    labels = label_file.read(folder / label_file.NAME)
    annotation = labels[img_id(8)]["label"]
    annotation["created_by"] = "Ada"
    labels[img_id(8)]["label_fingerprint"] = ids.fingerprint(img_id(8), annotation)
    label_file.write(folder / label_file.NAME, labels)
    page = watch.page(context.new_page())
    serve_model(page, COUNT, scores={8: 0.9, 30: 0.8})
    page.goto(start(folder).url)
    ready(page)
    expect(page.locator("#overview .suspects-text")).to_have_text("1 label looks wrong.")


def test_states_are_combined(judged):
    page = judged(scores={3: 0.9, 4: 0.9, 5: 0.9})
    show_only(page, "unreviewed", "suspicious")
    expect(page.locator("#shown-count")).to_have_text("3 pictures")
    page.click("#histogram-direction [data-value='3']")
    expect(page.locator("#shown-count")).to_have_text("1 picture")
    page.reload()
    ready(page)
    expect(page.locator("#shown-count")).to_have_text("1 picture")
    assert sorted(states(page)) == ["suspicious", "unreviewed"]


def test_drive_driver_and_day_are_filters(tmp_path, start, open_page):
    """Each is offered where it leaves a choice."""
    folder = drive(tmp_path / "drive", 10)
    labels = label_file.read(folder / label_file.NAME)
    for number in range(5 * 72_000, 5 * 72_000 + 6):  # five hours later: 20 pictures a second
        one = document(number, picture(number % 7), driver="Ada", event="race")
        labels[one["img_id"]] = one
        (folder / one["file_name"]).write_bytes(picture(number % 7))
    for number in range(24 * 72_000, 24 * 72_000 + 4):
        one = document(number, picture(number % 7), driver="Ada", event="race")
        labels[one["img_id"]] = one
        (folder / one["file_name"]).write_bytes(picture(number % 7))
    label_file.write(folder / label_file.NAME, labels)
    page = open_page(start(folder))
    for name, shown in (
        ("drive", {"1": 6, "2": 4, "0": 10}),
        ("driver", {"1": 10, "0": 10}),
        ("day", {"1": 4, "0": 16}),
    ):
        for value, count in shown.items():
            page.select_option(f"#filter-{name}", value)
            expect(page.locator("#shown-count")).to_have_text(f"{count} pictures")
        page.reload()
        ready(page)
        expect(page.locator(f"#filter-{name}")).to_have_value("0")
        page.click("#filter-none")
    page.select_option("#filter-driver", "1")
    page.select_option("#filter-day", "1")
    expect(page.locator("#shown-count")).to_have_text("4 pictures")


def test_one_drive_leaves_no_choice(judged):
    page = judged()
    for name in ("drive", "driver", "day"):
        expect(page.locator(f"#filter-{name}")).to_be_hidden()


def x_of(page, number):
    """Where a picture is on the steering curve, in pixels of the page."""
    box = page.locator("#curve").bounding_box()
    return box["x"] + box["width"] * (number + 0.5) / COUNT, box["y"] + box["height"] / 2


def test_a_click_on_the_curve_goes_there_and_a_drag_selects(judged, labelizer):
    page = judged()
    page.mouse.click(*x_of(page, 17))
    at(page, 17)
    page.mouse.move(*x_of(page, 5))
    page.mouse.down()
    page.mouse.move(*x_of(page, 9))
    page.mouse.move(*x_of(page, 12))
    page.mouse.up()
    expect(page.locator("#selected-count")).to_have_text("8 pictures")
    at(page, 12)
    keys(page, "w")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["kind"] == "smooth"
    positions = [at for first, last in operation["positions"] for at in range(first, last + 1)]
    assert set(positions) <= set(range(5, 13))


INK = """() => {
    const canvas = document.getElementById("curve");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, at) => at % 4 === 3 && value > 0).length;
}"""


def test_the_curve_shows_the_drive_and_what_changes_in_it(judged):
    """Curve and strip are drawn after the picture is painted, so the test waits for them."""
    page = judged()
    page.wait_for_function(f"() => ({INK})() > 500")
    before = page.evaluate(INK)
    keys(page, "Control+a", "2", "Escape")
    page.wait_for_function(f"(before) => ({INK})() < before", arg=before)  # flat
    keys(page, "Control+z")
    page.wait_for_function(f"(before) => ({INK})() === before", arg=before)


def test_a_long_drive_is_shown_in_part_or_whole(tmp_path, start, open_page):
    page = open_page(start(drive(tmp_path / "drive", 12)), "#view=single")
    spans = page.evaluate(
        """async () => {
            const { Curve } = await import("/static/labelizer/curve.js");
            const count = 3000;
            const index = Int32Array.from({ length: count }, (_, at) => (at < 2000 ? 0 : 1));
            const store = Object.assign(new EventTarget(), { captures: { drive: { index } },
                flags: new Uint16Array(count), value: () => 0 });
            const model = { status: "none", isReady: false };
            const session = { store, model, suspicion: {}, position: 1000, selectedCount: 0,
                rangeStart: null };
            const curve = new Curve(session);
            const seen = [];
            const look = () => { curve.draw(); seen.push([...curve.sight]); };
            look();
            session.position = 1200; look();
            session.position = 1990; look();
            curve.switchZoom(); look();
            session.position = 2500; look();
            curve.switchZoom(); look();
            return seen;
        }"""
    )
    assert spans[0] == spans[1] == [700, 1300]
    assert spans[2] == [1400, 2000]
    assert spans[3] == [0, 2000]
    assert spans[4] == [2000, 3000]
    assert spans[5] == [2200, 2800]


def test_the_class_of_a_selection_is_set_to_its_steering(tmp_path, start, open_page):
    """Labels of an earlier version, of which some have a class that was not steered."""
    folder = drive(tmp_path / "drive", 10)
    labels = label_file.read(folder / label_file.NAME)
    for number in range(10):
        annotation = labels[img_id(number)]["label"]
        del annotation["steering"], annotation["throttle"]
        if number in (3, 6):
            annotation["label_direction"] = 0
        labels[img_id(number)]["label_fingerprint"] = ids.fingerprint(img_id(number), annotation)
    label_file.write(folder / label_file.NAME, labels)
    labelizer = start(folder)
    page = open_page(labelizer)
    keys(page, "ArrowRight", "r")
    assert "already" in toast(page)
    keys(page, "Control+a", "r")
    assert toast(page).startswith("2 pictures")
    saved(page)
    [operation] = labelizer.operations()
    assert operation["positions"] == [[3, 3], [6, 6]]
    rows = labelizer.rows("SELECT direction FROM entry ORDER BY position")
    assert [row[0] for row in rows] == [number % 5 for number in range(10)]
    keys(page, "Control+z", "Escape", *["ArrowRight"] * 2)
    assert pressed(page, "direction") == 0
    keys(page, "r")
    assert pressed(page, "direction") == 3
    assert current(page) == img_id(3)


def test_tiles_and_strip_show_needles(judged):
    page = judged(scores={3: 0.9})
    drawn = """(selector) => [...document.querySelectorAll(selector)].filter((canvas) => {
        const { width, height } = canvas;
        return canvas.checkVisibility() && canvas.getContext("2d")
            .getImageData(0, 0, width, height).data.some((value) => value > 0); }).length"""
    assert page.evaluate(drawn, "#strip .needles") == 11
    keys(page, "v")
    shown = page.locator(".tile:not([hidden])").count()
    assert page.evaluate(drawn, ".tile:not([hidden]) .needles") == shown
    before = page.locator("#tile-2 .needles").get_attribute("data-needles")
    page.locator("#tile-2").click()
    keys(page, "4")
    assert page.locator("#tile-2 .needles").get_attribute("data-needles") != before


def test_late_labels_of_a_drive_are_moved_with_one_click(judged, labelizer):
    """One step, which undo takes back; then it is offered again."""
    page = judged("", late={0: 3})
    late = page.locator("#late-drives li")
    expect(late).to_contain_text("3 pictures late")
    late.locator("button").click()
    expect(late).to_contain_text("were moved")
    saved(page)
    [operation] = labelizer.operations()
    assert (operation["kind"], operation["by"]) == ("shift", -3)
    assert operation["positions"] == [[0, COUNT - 1]]
    rows = labelizer.rows("SELECT direction FROM entry ORDER BY position")
    assert [row[0] for row in rows][: COUNT - 3] == [number % 5 for number in range(3, COUNT)]
    keys(page, "Control+z")
    expect(late).to_contain_text("3 pictures late")


def test_labels_on_time_are_not_talked_of(judged):
    expect(judged("#view=overview").locator("#late")).to_be_hidden()


def test_a_model_comes_while_the_page_is_open(labelizer, context, watch):
    """How far it is, then what it found; where one is stays."""
    page = watch.page(context.new_page())
    reply = {"status": "computing", "done": 10, "total": 40, "message": ""}
    page.route("**/api/model", lambda route: route.fulfill(json=reply))
    page.goto(labelizer.url)
    ready(page)
    expect(page.locator("#overview .suspects-text")).to_contain_text("25 %")
    page.click("nav [data-view=single]")
    keys(page, "ArrowRight", "m")
    assert "25 %" in toast(page)
    at(page, 1)
    serve_model(page, COUNT, scores={8: 0.9})  # in the place of the other: no poll may come between
    expect(page.locator("#panel .suspects-text")).to_contain_text("1 label")
    at(page, 1)


def test_a_search_that_failed_is_told_and_leaves_the_rest(labelizer, context, watch):
    page = watch.page(context.new_page())
    reply = {"status": "failed", "done": 0, "total": 40, "message": "no memory"}
    page.route("**/api/model", lambda route: route.fulfill(json=reply))
    page.goto(labelizer.url)
    ready(page)
    expect(page.locator("#overview .suspects-text")).to_contain_text("no memory")
    page.click("nav [data-view=single]")
    keys(page, "4", "m")
    at(page, 1)
    page.select_option("#filter-order", "suspicious")
    saved(page)
    assert labelizer.entry(0)["direction"] == 4
