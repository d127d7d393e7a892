"""The key table: each key does what its help says, on other layouts too, and by mouse."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SIZE, Watch, ready
from tests.browser.drives import drive, img_id
from tests.browser.server import running
from tests.browser.words import current, keys, pressed, toast

COUNT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures."""
    return drive(tmp_path_factory.mktemp("keys") / "drive", COUNT)


@pytest.fixture
def labelizer(folder, start):
    """A labelizer on them, with no work yet."""
    for left in folder.glob("labels.json.labelizer*"):
        left.unlink()
    return start(folder)


def at(number):
    """That the picture of this number is shown."""
    return lambda page: current(page) == img_id(number)


def shows(selector):
    return lambda page: page.locator(selector).is_visible()


def direction_of(number, value):
    """That a picture has this direction now."""

    def holds(page):
        go(page, number)
        return pressed(page, "direction") == value

    return holds


def speed_of(number, value):
    def holds(page):
        go(page, number)
        return pressed(page, "speed") == value

    return holds


def deleted(number, *, stays):
    def holds(page):
        moved = current(page) == img_id(number if stays else number + 1)
        go(page, number)
        return moved and page.locator("#stamp").is_visible()

    return holds


def selected(count):
    return lambda page: page.locator("#selected-count").inner_text() == f"{count} pictures"


def has_none(page):
    return page.inner_text("#selected-count") == ""


def plays_back(page):
    shown = "id => document.getElementById('img-id').textContent < id"
    return page.is_visible("body.playing") and page.wait_for_function(shown, arg=img_id(12))


def rows_from_12(rows):
    """That the grid is at the picture so many rows from picture 12."""

    def holds(page):
        tops = page.evaluate(
            "() => [...document.querySelectorAll('.tile:not([hidden])')].map("
            "(tile) => tile.getBoundingClientRect().top)"
        )
        told = page.locator(".tile.current").get_attribute("aria-label")
        return int(told.split(":")[0]) - 1 == 12 + rows * tops.count(min(tops))

    return holds


def go(page, number):
    page.click("nav [data-view=single]")
    keys(page, "o")
    page.fill("#go-to-text", img_id(number))
    keys(page, "Enter")
    expect(page.locator("#go-to")).to_be_hidden()
    expect(page.locator("#img-id")).to_have_text(img_id(number))


@dataclass(frozen=True)
class Case:
    """What a binding does: from picture 12, after `before`, `press` makes `holds` true."""

    press: str
    holds: object
    before: tuple[str, ...] = ()


# By action and the keys as the help shows them; picture 12 has direction 2 and speed 1.
CASES = {
    ("label", "0 … 9"): Case("4", direction_of(12, 4)),
    ("direction", "A S D F G"): Case("f", direction_of(12, 3)),
    ("speed", "J K L"): Case("j", speed_of(12, 0)),
    ("switch-attribute", "T"): Case("0", speed_of(12, 0), ("t",)),
    ("confirm", "Enter"): Case(
        "Enter", lambda page: at(13)(page) and "1 of 40" in page.inner_text("#progress-count")
    ),
    ("delete", "X or Delete"): Case("Delete", deleted(12, stays=False)),
    ("delete-stay", "Shift+X"): Case("Shift+X", deleted(12, stays=True)),
    ("shift-earlier", ","): Case(",", direction_of(12, 3), ("Shift+ArrowRight",)),
    ("shift-later", "."): Case(".", direction_of(12, 1), ("Shift+ArrowLeft",)),
    ("undo-and-go", "Backspace"): Case(
        "Backspace", lambda page: at(12)(page) and direction_of(12, 2)(page), ("4", "End")
    ),
    ("undo", "Ctrl+Z"): Case(
        "Control+z", lambda page: at(39)(page) and direction_of(12, 2)(page), ("4", "End")
    ),
    ("redo", "Ctrl+Shift+Z"): Case("Control+Shift+Z", direction_of(12, 4), ("4", "Control+z")),
    ("redo", "Ctrl+Y"): Case("Control+y", direction_of(12, 4), ("4", "Control+z")),
    ("previous", "←"): Case("ArrowLeft", at(11)),
    ("next", "→"): Case("ArrowRight", at(13)),
    ("back-ten", "Page Up"): Case("PageUp", at(2)),
    ("on-ten", "Page Down"): Case("PageDown", at(22)),
    ("first", "Home"): Case("Home", at(0)),
    ("last", "End"): Case("End", at(39)),
    ("next-unreviewed", "N"): Case("n", at(14), ("Enter", "Enter", *["ArrowLeft"] * 2)),
    ("next-suspicious", "Shift+N"): Case("Shift+N", at(15)),
    ("go-to", "O or /"): Case("/", shows("#go-to")),
    ("range-start", "[ or I"): Case("[", lambda page: "from" in page.inner_text("#selected-count")),
    ("range-end", "] or P"): Case("]", selected(3), ("[", "ArrowRight", "ArrowRight")),
    ("extend-back", "Shift+←"): Case("Shift+ArrowLeft", selected(2)),
    ("extend-on", "Shift+→"): Case("Shift+ArrowRight", selected(3), ("Shift+ArrowRight",)),
    ("select-all", "Ctrl+A"): Case("Control+a", selected(40)),
    ("clear", "Esc"): Case("Escape", has_none, ("Control+a",)),
    ("play", "Space"): Case("Space", shows("body.playing")),
    ("play-back", "Shift+Space"): Case("Shift+Space", plays_back),
    ("faster", "↑"): Case("ArrowUp", lambda page: page.inner_text("#rate") == "40/s"),
    ("slower", "↓"): Case("ArrowDown", lambda page: page.inner_text("#rate") == "10/s"),
    ("row-up", "↑ in the grid"): Case("ArrowUp", rows_from_12(-1), ("v",)),
    ("row-down", "↓ in the grid"): Case("ArrowDown", rows_from_12(1), ("v",)),
    ("switch-view", "V"): Case("v", shows("#grid")),
    ("histogram", "B"): Case("b", lambda page: not page.is_visible("#panel")),
    ("review", "Ctrl+S"): Case("Control+s", shows("#review")),
    ("help", "H, F1 or ?"): Case("?", shows("#help")),
}  # fmt: skip


def table(page):
    """The bindings of the page itself."""
    return page.evaluate("() => import('/static/labelizer/keys.js').then((m) => m.BINDINGS)")


def test_every_key_does_what_the_help_says(page, labelizer):
    """Acceptance 2: the whole table, one binding after the other."""
    bindings = table(page)
    assert [(one["action"], one["shown"]) for one in bindings] == list(CASES)
    done = []
    for binding in bindings:
        case = CASES[binding["action"], binding["shown"]]
        go(page, 12)
        keys(page, *case.before)
        keys(page, case.press)
        assert case.holds(page), (binding, current(page), toast(page))
        done.append(binding["action"])
        undo_everything(page)
    assert len(done) == len(bindings)


# What AZERTY prints on the places that have another sign on QWERTY, and needs Shift there for.
AZERTY = {
    "KeyA": "q",
    "KeyQ": "a",
    "Digit0": "à",
    "Digit1": "&",
    "Digit2": "é",
    "Digit3": '"',
    "Digit4": "'",
}


@pytest.mark.parametrize(
    ("code", "sign", "attribute", "value"),
    [
        *[(f"Digit{value}", AZERTY[f"Digit{value}"], "direction", value) for value in range(5)],
        ("Digit3", "3", "direction", 3),
        ("KeyA", AZERTY["KeyA"], "direction", 0),
        ("KeyS", "s", "direction", 1),
        ("KeyG", "g", "direction", 4),
        ("KeyJ", "j", "speed", 0),
        ("KeyK", "k", "speed", 1),
        ("Numpad4", "4", "direction", 4),
    ],
)
def test_label_keys_are_places_not_letters(page_for_layouts, code, sign, attribute, value):
    """Acceptance 2, on AZERTY: the same places do the same, with what is printed there."""
    page = page_for_layouts
    go(page, 13)  # direction 3, speed 0: each of the cases changes it or confirms it
    press(page, code, sign, shift=sign.isdigit() and code.startswith("Digit"))
    go(page, 13)
    assert pressed(page, attribute) == value
    page.keyboard.press("Control+z")


@pytest.mark.parametrize(
    ("code", "sign"),
    [("KeyW", "z"), ("KeyZ", "z"), ("KeyY", "z")],
    ids=["azerty", "qwerty", "qwertz"],
)
def test_undo_is_where_z_is_printed(page_for_layouts, code, sign):
    page = page_for_layouts
    go(page, 13)
    keys(page, "4")
    press(page, code, sign, control=True)
    assert toast(page).startswith("undone: direction 4")


@pytest.mark.parametrize(
    ("code", "sign", "shift"), [("Comma", "?", True), ("Slash", "?", True), ("Minus", "?", True)]
)
def test_help_is_where_the_question_mark_is_printed(page_for_layouts, code, sign, shift):
    page = page_for_layouts
    press(page, code, sign, shift=shift)
    expect(page.locator("#help")).to_be_visible()
    keys(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()


@pytest.mark.parametrize("code", ["Digit7", "Minus"], ids=["qwertz", "qwerty-uk"])
def test_go_to_is_where_the_slash_is_printed(page_for_layouts, code):
    """Shift and 7 print a slash in much of Europe; only on AZERTY is it a digit."""
    page = page_for_layouts
    press(page, code, "/", shift=code.startswith("Digit"))
    expect(page.locator("#go-to")).to_be_visible()
    keys(page, "Escape")
    expect(page.locator("#go-to")).to_be_hidden()


def press(page, code, sign, *, shift=False, control=False):
    """A key of another layout: the place and what is printed on it."""
    page.evaluate(
        """([code, key, shiftKey, ctrlKey]) => document.body.dispatchEvent(new KeyboardEvent(
            "keydown", {code, key, shiftKey, ctrlKey, bubbles: true, cancelable: true}))""",
        [code, sign, shift, control],
    )


@pytest.fixture(scope="module")
def page_for_layouts(browser, tmp_path_factory):
    """One page for all layouts."""
    watch = Watch()
    with running(drive(tmp_path_factory.mktemp("layouts") / "drive", 20)) as labelizer:
        page = watch.page(browser.new_page(viewport=SIZE))
        page.goto(labelizer.url)
        ready(page)
        yield page
        page.close()
    watch.check()


def test_help_lists_every_binding_once(page):
    """Acceptance 25: made from the table; Esc closes it; the focus is where it was."""
    page.locator("#filter-state").focus()
    page.locator("header [data-action=help]").focus()
    keys(page, "Enter")
    expect(page.locator("#help")).to_be_visible()
    shown = page.locator("#help-groups dt").all_inner_texts()
    assert sorted(shown) == sorted(one["shown"] for one in table(page))
    helps = page.locator("#help-groups dd").all_inner_texts()
    assert sorted(helps) == sorted(one["help"] for one in table(page))
    keys(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()
    focused = page.evaluate("() => document.activeElement.dataset.action")
    assert focused == "help"


def test_every_action_can_be_had_by_mouse(page):
    """Acceptance 25: by a button of the page, or by its row in the help."""
    for action in {one["action"] for one in table(page)} - {"label"}:  # the class buttons again
        own = page.locator(f"[data-action='{action}']:visible").count()
        in_help = page.locator(f"[data-do='{action}']").count()
        assert own or in_help, action
    page.click("[data-action=direction][data-value='4']")
    assert current(page) == img_id(1)
    keys(page, "?")
    page.click("[data-do=undo-and-go]")
    assert current(page) == img_id(0)
    assert pressed(page, "direction") == 0


def test_a_click_leaves_the_keys_where_they_were(page):
    """Enter after a click on a button keeps a label; it does not press the button again."""
    page.click("[data-action=on-ten]")
    assert current(page) == img_id(10)
    keys(page, "Enter")
    assert current(page) == img_id(11)


def test_go_to_is_done_by_keys_alone(page):
    """The field has the focus, and its text is chosen; it also ends playing."""
    keys(page, "o", *"30", "Enter")
    expect(page.locator("#go-to")).to_be_hidden()
    assert current(page) == img_id(29)
    keys(page, "Home", " ", "o", *"15", "Enter")
    expect(page.locator("#go-to")).to_be_hidden()
    page.wait_for_timeout(200)
    assert current(page) == img_id(14)
    expect(page.locator("#play")).to_contain_text("Play")


def test_a_choice_with_the_mouse_leaves_the_keys_where_they_were(page):
    """After it a label key sets a label; a choice by keys alone goes on in its field."""
    page.click("#show-guides")
    keys(page, "4")
    assert current(page) == img_id(1)
    page.click("#filter-order")
    keys(page, "ArrowDown", "Enter")
    expect(page.locator("#filter-order")).to_have_value("suspicious")
    keys(page, "a")
    expect(page.locator("#progress-count")).to_contain_text("2 of 40")
    page.locator("#filter-state").focus()
    keys(page, "ArrowDown", "ArrowDown")
    expect(page.locator("#filter-state")).to_have_value("reviewed")


def test_a_box_that_is_ticked_with_keys_leaves_them_to_labels(page):
    """Space is for the box that Tab reached, a digit for the label."""
    page.locator("#show-guides").focus()
    keys(page, " ")
    assert not page.is_checked("#show-guides")
    assert page.locator("body.playing").count() == 0
    keys(page, "4")
    assert current(page) == img_id(1)


def test_a_button_reached_with_tab_is_pressed_by_enter(page):
    page.locator("[data-action=on-ten]").focus()
    keys(page, "Enter")
    assert current(page) == img_id(10)
    expect(page.locator("#progress-count")).to_contain_text("0 of 40")


def test_the_focus_can_be_seen(page):
    """Acceptance 25: everything that Tab reaches has an outline."""
    seen = set()
    for _ in range(80):
        keys(page, "Tab")
        outline = page.evaluate(
            """() => { const one = document.activeElement;
                if (one === document.body) return null;
                const style = getComputedStyle(one);
                return [one.id || one.dataset.action || one.textContent, style.outlineStyle,
                        parseFloat(style.outlineWidth)]; }"""
        )
        if outline is None:
            break
        assert outline[1] == "solid", outline
        assert outline[2] >= 2, outline
        seen.add(outline[0])
    assert {"confirm", "delete", "play", "filter-state", "shift-by"} <= seen


def undo_everything(page):
    """Back to the labels of the file, and to nothing open, selected or playing."""
    for dialog in ("#help", "#go-to"):
        if page.is_visible(dialog):
            keys(page, "Escape")
    keys(page, "Escape", "Escape")
    if not page.is_visible("#panel"):
        keys(page, "b")
    if "speed" in page.inner_text("#switch-attribute"):
        keys(page, "t")
    while page.inner_text("#rate") != "20/s":
        keys(page, "ArrowDown" if page.inner_text("#rate") == "40/s" else "ArrowUp")
    for _ in range(9):
        keys(page, "Control+z")
        if toast(page) == "There is nothing to undo.":
            return
    raise AssertionError("more than was done")
