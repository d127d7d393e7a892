"""One picture at a time: what a key does to its label, and what stays."""

from playwright.sync_api import expect

from get_data.labels import label_file, validation
from tests.browser.conftest import ready
from tests.browser.drives import img_id
from tests.browser.page_actions import current, export, keys, pressed, saved, toast


def test_the_page_opens_at_the_first_picture(page):
    """Counts, the first picture decoded, the load report."""
    expect(page.locator("#place")).to_have_text("1 of 12")
    expect(page.locator("#picture")).to_be_visible()
    assert page.evaluate("() => document.getElementById('picture').naturalWidth") == 160
    assert current(page) == img_id(0)
    expect(page.locator("#progress-count")).to_have_text("0 of 12 reviewed, 0 %")
    page.click("nav [data-view=overview]")
    expect(page.locator("#overview-title")).to_have_text("12 pictures to look at")
    expect(page.locator("#problems")).to_contain_text("Every label is valid, and every picture is")
    expect(page.locator("#looked-at")).to_have_text("All pictures were looked at.")


def test_a_digit_sets_the_class_and_goes_on(page, labelizer):
    """An integer, the badge, the row in the work file and the export agree."""
    keys(page, "3")
    assert current(page) == img_id(1)
    saved(page)
    assert labelizer.entry(0) == {"direction": 3, "speed": 1, "reviewed": 1, "deleted": 0}
    keys(page, "ArrowLeft")
    expect(page.locator("#badges")).to_contain_text("✎ changed")
    expect(page.locator("#badges")).to_contain_text("✓ reviewed")
    assert pressed(page, "direction") == 3
    exported = export(page, labelizer)
    assert exported[img_id(0)]["label"]["label_direction"] == 3
    assert exported[img_id(0)]["label"]["created_by"] == "Zoé"
    assert type(exported[img_id(0)]["label"]["label_direction"]) is int
    validation.parse(exported[img_id(0)])


def test_a_digit_that_is_no_class_says_so_and_changes_nothing(page, labelizer):
    keys(page, "7")
    assert "no direction 7" in toast(page)
    assert current(page) == img_id(0)
    keys(page, "l")
    assert "no speed 2" in toast(page)
    saved(page)
    assert labelizer.operations() == []


def test_both_attributes_have_keys_without_a_mode(page, labelizer):
    """ASDFG and JKL, T for the active one, Enter confirms."""
    keys(page, "j", "g")  # speed 0 and stay, direction 4 and go on
    assert current(page) == img_id(1)
    saved(page)
    assert labelizer.entry(0) == {"direction": 4, "speed": 0, "reviewed": 1, "deleted": 0}
    expect(page.locator("#direction")).to_contain_class("active")
    keys(page, "t")
    expect(page.locator("#speed")).to_contain_class("active")
    expect(page.locator("#direction")).not_to_contain_class("active")
    keys(page, "1")
    assert current(page) == img_id(2)
    keys(page, "k")  # the speed is active: sets it, and goes on
    assert current(page) == img_id(3)
    keys(page, "Enter")
    saved(page)
    assert labelizer.entry(1) == {"direction": 1, "speed": 1, "reviewed": 1, "deleted": 0}
    assert labelizer.entry(2)["speed"] == 1
    assert labelizer.entry(3) == {"direction": 3, "speed": 0, "reviewed": 1, "deleted": 0}
    expect(page.locator("#progress-count")).to_contain_text("4 of 12 reviewed")


def test_keys_that_mean_something_else_change_no_label(page, labelizer):
    """Combinations, typing in a field, a label key held down."""
    keys(page, "Control+c", "Alt+1", "Control+d")
    page.fill("#filter-text", "2024")
    page.locator("#filter-text").press_sequentially("0511x")
    assert page.input_value("#filter-text") == "20240511x"
    page.fill("#filter-text", "")
    keys(page, "Escape")  # leaves the field
    page.keyboard.down("1")
    page.keyboard.down("1")  # repeats
    page.keyboard.down("1")
    page.keyboard.up("1")
    assert current(page) == img_id(1)
    saved(page)
    assert len(labelizer.operations()) == 1
    page.reload()
    ready(page)
    keys(page, "Control+r")
    saved(page)
    assert len(labelizer.operations()) == 1


def test_x_marks_to_delete_without_asking(page, labelizer):
    """A real boolean, the old fingerprint; marked back, the entry is the source's."""
    source = label_file.read(labelizer.labels)
    keys(page, "x", "x", "ArrowLeft")
    expect(page.locator("#stamp")).to_be_visible()
    assert page.locator("dialog[open]").count() == 0
    exported = export(page, labelizer)
    for number in (0, 1):
        assert exported[img_id(number)] == {**source[img_id(number)], "to_delete": True}
    page.click("nav [data-view=single]")
    keys(page, "Shift+X")
    assert current(page) == img_id(1)
    expect(page.locator("#stamp")).to_be_hidden()
    exported = export(page, labelizer)
    assert exported[img_id(1)] == source[img_id(1)]
    assert exported[img_id(0)]["to_delete"] is True


def test_undo_works_after_saving_and_after_a_reload(page, labelizer):
    keys(page, "4", "3", "x")
    saved(page)
    page.reload()
    ready(page)
    keys(page, "Backspace")
    assert current(page) == img_id(2)
    saved(page)
    assert labelizer.entry(2)["deleted"] == 0
    keys(page, "Control+z", "Control+z")
    saved(page)
    for position in (0, 1):
        entry = {"direction": position, "speed": 1 - position, "reviewed": 0, "deleted": 0}
        assert labelizer.entry(position) == entry
    keys(page, "Control+z")
    assert toast(page) == "There is nothing to undo."
    page.reload()
    ready(page)
    keys(page, "Control+y", "Control+Shift+Z", "Control+y")
    saved(page)
    assert [labelizer.entry(at)["direction"] for at in (0, 1)] == [4, 3]
    assert labelizer.entry(2)["deleted"] == 1
    kinds = [one["kind"] for one in labelizer.operations()]
    assert kinds == ["label", "label", "delete"] + ["undo"] * 3 + ["redo"] * 3


def test_an_undo_that_was_not_sent_undoes_the_step_that_it_is_of(page):
    """A tab was killed after an undo; a step that another one made since stays to be undone."""
    done, undone, undo_again, directions = page.evaluate(
        """async () => {
            const { Store } = await import("/static/labelizer/store.js");
            const one = { names: [""], runs: [[0, 2]] };
            const entries = {
              drive: one, driver: one, day: one,
              ids: ["a", "b"], steering: [null, null], throttle: [null, null],
              raw_direction: [-1, -1], raw_speed: [0, 0], spans: [[1, 2]], tells_span: [[1, 2]],
              group: [0, 0], flags: [64, 0],
              groups: [{ nb_dir: 5, nb_speed: 2 }], direction: [0, 0], speed: [0, 0],
            };
            const killed = new Store(entries, { positions: [], settled: [], history: [] });
            const first = killed.label(Int32Array.of(0), "direction", 1);
            const undo = killed.undo();
            const state = {
              settled: [], positions: [0, 1], direction: [1, 2], speed: [0, 0], reviewed: [1, 1],
              deleted: [0, 0], steering: [null, null], throttle: [null, null],
            };
            const second = new Store(entries, { ...state, positions: [0], history: [first] })
              .label(Int32Array.of(1), "direction", 2);
            const store = new Store(entries, { ...state, history: [first, second] });
            store.apply(undo);
            const texts = (steps) => steps.map((step) => step.text);
            const left = [texts(store.done), texts(store.undone)];
            return [...left, store.undo().text, [...store.now.direction]];
        }"""
    )
    assert (done, undone) == (["direction 2"], ["direction 1"])
    assert undo_again == "direction 2"
    assert directions == [0, 0]


def test_an_edit_that_changes_nothing_is_no_step(page, labelizer):
    keys(page, "3", "ArrowLeft", "3", "ArrowLeft", "Enter")
    saved(page)
    assert len(labelizer.operations()) == 1


def test_a_new_edit_forgets_what_was_undone(page, labelizer):
    keys(page, "3", "Control+z", "ArrowLeft", "4", "Control+y")
    saved(page)
    assert labelizer.entry(0)["direction"] == 4
    assert [one["kind"] for one in labelizer.operations()] == ["label", "undo", "label"]
