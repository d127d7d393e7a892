"""The key table: each key does what its help says, on other layouts too, and by mouse."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SIZE, Watch, ready
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, keys, pressed, saved, serve_model, states, toast
from tests.browser.server import running

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


def shows_values(text):
    """That the picture shown has this steering or throttle."""
    return lambda page: text in page.inner_text("#values")


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


# What the page does where one edits its address, at once.
SHOW = """const show = (view, id) => window.dispatchEvent(new HashChangeEvent("hashchange",
    { newURL: new URL(`#view=${view}&id=${id}`, location.href).href }));"""


def go(page, number):
    """Show a picture in Single."""
    page.evaluate(f"(id) => {{ {SHOW} show('single', id); }}", img_id(number))
    assert current(page) == img_id(number)


# Nothing open, selected, playing or chosen, and the labels of the file.
RESET = f"""([view, id]) => {{
    {SHOW}
    const press = (code, key, ctrlKey = false) => document.body.dispatchEvent(
        new KeyboardEvent("keydown", {{ code, key, ctrlKey, bubbles: true, cancelable: true }}));
    const text = (name) => document.getElementById(name).textContent;
    const isWithoutPanel = document.body.classList.contains("without-panel");
    const setsSpeed = text("switch-attribute").includes("speed");
    const rate = () => Number.parseInt(text("rate"));
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    document.activeElement.blur();
    press("Escape", "Escape");
    if (isWithoutPanel || setsSpeed || rate() !== 20) show("single", id);
    if (isWithoutPanel) press("KeyB", "b");
    if (setsSpeed) press("KeyT", "t");
    while (rate() > 20) press("ArrowDown", "ArrowDown");
    while (rate() < 20) press("ArrowUp", "ArrowUp");
    const nothingLeft = "There is nothing to undo.";
    for (let undone = 0; text("toast") !== nothingLeft || undone === 0; undone += 1) {{
        if (undone === 9) throw new Error("more than was done");
        press("KeyZ", "z", true);
    }}
    show(view, id);
    document.getElementById("toast").textContent = "";
}}"""


def reset(page, number=0, *, view="single"):
    """Show a picture, with nothing open, selected or playing, and the labels of the file."""
    page.evaluate(RESET, [view, img_id(number)])
    assert page.get_attribute("nav [aria-current=page]", "data-view") == view


@dataclass(frozen=True)
class Case:
    """What a binding does: from picture `start`, after `before`, its keys make `holds` true."""

    holds: object
    before: tuple[str, ...] = ()
    start: int = 12


def confirmed(page):
    return at(13)(page) and "1 of 40" in page.inner_text("#progress-count")


# By action and the keys as the help shows them; picture 12 has direction 2 and speed 1.
CASES = {
    ("switch-attribute", "T"): Case(lambda page: "speed" in page.inner_text("#switch-attribute")),
    ("confirm", "Enter"): Case(confirmed),
    ("delete", "X or Delete"): Case(deleted(12, stays=False)),
    ("delete-stay", "Shift+X"): Case(deleted(12, stays=True)),
    ("value-down", "Q"): Case(shows_values("\N{MINUS SIGN}0.02 (driver 0.00)")),
    ("value-up", "E"): Case(shows_values("steering 0.02 (driver 0.00)")),
    ("smooth", "W"): Case(
        shows_values("steering 0.00 (driver 0.80)"), ("[", "ArrowRight", "ArrowRight", "]")
    ),
    ("straighten", "Shift+W"): Case(
        shows_values("steering 0.00 (driver \N{MINUS SIGN}0.40)"), ("Shift+ArrowRight",) * 3, 13
    ),
    ("take-model", "M"): Case(lambda page: at(13)(page) and direction_of(12, 3)(page)),
    ("take-other", "U"): Case(lambda page: "--compare" in toast(page)),
    ("class-from-steering", "R"): Case(lambda page: "already" in toast(page)),
    ("shift-earlier", ","): Case(direction_of(12, 3), ("Shift+ArrowRight",)),
    ("shift-later", "."): Case(direction_of(12, 1), ("Shift+ArrowLeft",)),
    ("undo-and-go", "Backspace"): Case(
        lambda page: at(12)(page) and direction_of(12, 2)(page), ("4", "End")
    ),
    ("undo", "Ctrl+Z"): Case(lambda page: at(39)(page) and direction_of(12, 2)(page), ("4", "End")),
    ("redo", "Ctrl+Shift+Z"): Case(direction_of(12, 4), ("4", "Control+z")),
    ("redo", "Ctrl+Y"): Case(direction_of(12, 4), ("4", "Control+z")),
    ("previous", "←"): Case(at(11)),
    ("next", "→"): Case(at(13)),
    ("previous-listed", "Ctrl+←"): Case(at(11)),
    ("next-listed", "Ctrl+→"): Case(at(13)),
    ("back-ten", "Page Up"): Case(at(2)),
    ("forward-ten", "Page Down"): Case(at(22)),
    ("first", "Home"): Case(at(0)),
    ("last", "End"): Case(at(39)),
    ("next-unreviewed", "N"): Case(at(14), ("Enter", "Enter", *["ArrowLeft"] * 2)),
    ("next-suspicious", "Shift+N"): Case(at(15)),
    ("go-to", "O or /"): Case(shows("#go-to")),
    ("range-start", "[ or I"): Case(lambda page: "from" in page.inner_text("#selected-count")),
    ("range-end", "] or P"): Case(selected(3), ("[", "ArrowRight", "ArrowRight")),
    ("extend-back", "Shift+←"): Case(selected(2)),
    ("extend-forward", "Shift+→"): Case(selected(3), ("Shift+ArrowRight",)),
    ("select-stretch", "C"): Case(selected(2)),
    ("select-all", "Ctrl+A"): Case(selected(40)),
    ("clear", "Esc"): Case(has_none, ("Control+a",)),
    ("play", "Space"): Case(shows("body.playing")),
    ("play-back", "Shift+Space"): Case(plays_back),
    ("faster", "↑"): Case(lambda page: page.inner_text("#rate") == "40/s"),
    ("slower", "↓"): Case(lambda page: page.inner_text("#rate") == "10/s"),
    ("row-up", "↑ in the grid"): Case(rows_from_12(-1), ("v",)),
    ("row-down", "↓ in the grid"): Case(rows_from_12(1), ("v",)),
    ("switch-view", "V"): Case(shows("#grid")),
    ("zoom-curve", "Z"): Case(lambda page: "whole drive" in toast(page)),
    ("toggle-panel", "B"): Case(lambda page: not page.is_visible("#panel")),
    ("review", "Ctrl+S"): Case(shows("#review")),
    ("help", "H, F1 or ?"): Case(shows("#help")),
}

# Each key of these has its own class; a picture of another one shows that it was set.
CLASSES = {("label", "0 … 9"): 10, ("direction", "A S D F G"): 5, ("speed", "J K L"): 3}


def case_of(name, number):
    """Return the case of the key at that place in its binding, from 0."""
    if name in CASES:
        return CASES[name]
    attribute = "speed" if name[0] == "speed" else "direction"
    most = 1 if attribute == "speed" else 4
    if number > most:
        facts = f"no {attribute} {number}", f"0 to {most}"
        return Case(lambda page: all(fact in toast(page) for fact in facts))
    start = of_another_class(attribute, number)
    holds = speed_of if attribute == "speed" else direction_of
    return Case(holds(start, number), start=start)


def of_another_class(attribute, value):
    """A picture whose label is not of that class already."""
    return 12 + value if attribute == "speed" else 11 + value


def presses_of(binding):
    """Each key of a binding, as one presses it, and the number of its class."""
    name = binding["action"], binding["shown"]
    modifiers = ("Control+" if binding.get("control") else "") + (
        "Shift+" if binding.get("shift") is True else ""
    )
    for code in binding.get("codes", []):
        if name[0] == "label":
            yield code, int(code[-1])
        else:
            yield modifiers + code, binding["codes"].index(code)
    for sign in binding.get("signs", []):
        yield modifiers + sign, 0


def table(page):
    """The bindings of the page itself."""
    return page.evaluate("() => import('/static/labelizer/keys.js').then((m) => m.BINDINGS)")


def begin(page, case):
    reset(page, case.start)
    keys(page, *case.before)


@pytest.mark.parametrize("group", ["Label", "Undo", "Go", "Select", "Play", "See"])
def test_every_key_does_what_the_help_says(shared_page, group):
    """The whole table, one key after the other."""
    page = shared_page
    bindings = table(page)
    names = [(one["action"], one["shown"]) for one in bindings]
    assert sorted(names) == sorted([*CASES, *CLASSES])
    assert {one["group"] for one in bindings} == {"Label", "Undo", "Go", "Select", "Play", "See"}
    for name, binding in zip(names, bindings, strict=True):
        if binding["group"] != group:
            continue
        for press, number in presses_of(binding):
            case = case_of(name, number)
            begin(page, case)
            keys(page, press)
            assert case.holds(page), (press, binding, current(page), toast(page))
    reset(page)


@pytest.mark.parametrize("view", ["overview", "review"])
def test_keys_change_no_picture_that_is_not_in_sight(page, labelizer, view):
    """What is of a picture, or of a selection, works where pictures are."""
    keys(page, "4", "Home")
    page.click(f"nav [data-view={view}]")
    for binding in table(page):
        if binding["group"] == "Undo":
            continue
        for press, _ in presses_of(binding):
            keys(page, press)
            if binding["group"] == "See":
                keys(page, "Escape")
                page.click(f"nav [data-view={view}]")
    keys(page, "x")
    assert "(V)" in toast(page)
    keys(page, "Control+z")
    assert "direction 4" in toast(page)
    saved(page)
    assert [one["kind"] for one in labelizer.operations()] == ["label", "undo"]
    page.click("nav [data-view=single]")
    assert current(page) == img_id(0)
    assert has_none(page)


# Whether the next key changes anything, compared before and after its handlers: what comes by
# itself, such as a picture that was fetched, is no change.
WATCH_KEY = """() => {
    const seen = () => {
        const page = document.documentElement.cloneNode(true);
        page.querySelectorAll("#looked-at, #pace").forEach((one) => one.remove());
        return page.outerHTML + document.getElementById("scroller").scrollTop;
    };
    const isModifier = ({ key }) => key === "Control" || key === "Shift";
    let before;
    const listen = (capture, note) => window.addEventListener("keydown", function listener(event) {
        if (isModifier(event)) return;
        window.removeEventListener("keydown", listener, capture);
        note();
    }, capture);
    window.keyChanges = undefined;
    listen(true, () => { before = seen(); });
    listen(false, () => { window.keyChanges = seen() !== before; });
}"""


@pytest.mark.parametrize("view", ["single", "grid", "overview", "review"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_no_key_that_the_help_shows_does_nothing(page_without_frames, view, place):
    """In each view, and at each end: something changes, or it is said why not."""
    page = page_without_frames
    at = {"first": 0, "middle": 12, "last": COUNT - 1}[place]
    by_help = {one["help"]: one for one in table(page)}
    reset(page, at, view=view)
    keys(page, "?")
    shown = page.locator("#help-groups dd").all_inner_texts()
    assert len(shown) >= 6
    for binding in (by_help[one] for one in shown):
        for press, _ in presses_of(binding):
            reset(page, at, view=view)
            if binding["action"] == "clear":
                reset(page, at)
                keys(page, "[")
                page.dispatch_event(f"nav [data-view={view}]", "click")
            page.evaluate(WATCH_KEY)
            keys(page, press)
            assert page.evaluate("() => window.keyChanges") is True, (press, binding)
    reset(page)


@pytest.mark.parametrize(
    ("classes", "shown"),
    [((3, 2), ["0 … 2", "A S D", "J K"]), ((10, 3), ["0 … 9", "A S D F G", "J K L"])],
)
def test_the_help_shows_no_key_of_a_class_that_is_not_there(shared_page, classes, shown):
    bindings = shared_page.evaluate(
        """([direction, speed]) => import("/static/labelizer/keys.js").then(
            (m) => m.bindingsOf("single", { direction, speed }))""",
        classes,
    )
    named = {one["action"]: one["shown"] for one in bindings}
    assert [named[one] for one in ("label", "direction", "speed")] == shown


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 722, "0 %"),
        (1, 722, "under 1 %"),
        (199, 5000, "4 %"),
        (12, 500, "2 %"),
        (721, 722, "over 99 %"),
        (722, 722, "100 %"),
    ],
)
def test_a_share_is_the_nearest_percent_and_all_is_all(shared_page, part, whole, said):
    told = shared_page.evaluate(
        "([part, whole]) => import('/static/labelizer/format.js').then("
        "(m) => m.percent(part, whole))",
        [part, whole],
    )
    assert told == said


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
def test_label_keys_are_places_not_letters(shared_page, code, sign, attribute, value):
    """On AZERTY the same places do the same, with what is printed there."""
    page = shared_page
    number = of_another_class(attribute, value)
    go(page, number)
    assert pressed(page, attribute) != value
    press(page, code, sign, shift=sign.isdigit() and code.startswith("Digit"))
    go(page, number)
    assert pressed(page, attribute) == value
    page.keyboard.press("Control+z")


@pytest.mark.parametrize(
    ("code", "sign"),
    [("KeyW", "z"), ("KeyZ", "z"), ("KeyY", "z")],
    ids=["azerty", "qwerty", "qwertz"],
)
def test_undo_is_where_z_is_printed(shared_page, code, sign):
    page = shared_page
    go(page, 13)
    keys(page, "4")
    press(page, code, sign, control=True)
    assert "direction 4" in toast(page)


@pytest.mark.parametrize(
    ("code", "sign", "shift"), [("Comma", "?", True), ("Slash", "?", True), ("Minus", "?", True)]
)
def test_help_is_where_the_question_mark_is_printed(shared_page, code, sign, shift):
    page = shared_page
    press(page, code, sign, shift=shift)
    expect(page.locator("#help")).to_be_visible()
    keys(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()


@pytest.mark.parametrize("code", ["Digit7", "Minus"], ids=["qwertz", "qwerty-uk"])
def test_go_to_is_where_the_slash_is_printed(shared_page, code):
    """Shift and 7 print a slash in much of Europe; only on AZERTY is it a digit."""
    page = shared_page
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
def shared_page(browser, tmp_path_factory):
    """One page for many keys, which leave it as it was."""
    yield from open_for_many_keys(browser, tmp_path_factory)


@pytest.fixture(scope="module")
def page_without_frames(browser_without_frames, tmp_path_factory):
    """As `shared_page`, for keys of which only the page's content is looked at."""
    yield from open_for_many_keys(browser_without_frames, tmp_path_factory)


def open_for_many_keys(browser, tmp_path_factory):
    """Yield a page on a drive of its own, and check in the end that nothing failed."""
    watch = Watch()
    with running(drive(tmp_path_factory.mktemp("shared") / "drive", COUNT)) as labelizer:
        page = watch.page(browser.new_page(viewport=SIZE))
        serve_model(page, COUNT, clips=[(11, 12)], scores={15: 1.0})
        page.goto(f"{labelizer.url}#view=single")
        ready(page)
        yield page
        page.close()
    watch.check()


def test_help_lists_every_binding_once(page):
    """Made from the table; Esc closes it; the focus is where it was."""
    page.locator("#filter-order").focus()
    page.locator("header [data-action=help]").focus()
    keys(page, "Enter")
    expect(page.locator("#help")).to_be_visible()
    shown = page.locator("#help-groups dt").all_inner_texts()
    here = [one for one in table(page) if one.get("view") != "grid"]
    fewer = {"0 … 9": "0 … 4", "J K L": "J K"}  # of five directions and two speeds
    assert sorted(shown) == sorted(fewer.get(one["shown"], one["shown"]) for one in here)
    helps = page.locator("#help-groups dd").all_inner_texts()
    assert sorted(helps) == sorted(one["help"] for one in here)
    keys(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()
    focused = page.evaluate("() => document.activeElement.dataset.action")
    assert focused == "help"


@pytest.mark.parametrize("where", ["help", "page"])
def test_every_action_can_be_had_by_mouse(shared_page, where):
    """A click on its row in the help, or on its buttons, does what its key does."""
    page = shared_page
    done = set()
    for action, shown in CASES:
        case = CASES[action, shown]
        begin(page, case)
        if where == "help":
            keys(page, "?")
            page.locator(f"[data-do='{action}']").first.click()
        elif page.locator(f"[data-action='{action}']:visible").count():
            page.locator(f"[data-action='{action}']:visible").first.click()
        else:
            continue
        assert case.holds(page), (action, current(page), toast(page))
        done.add(action)
    if where == "help":
        assert done == {action for action, _ in CASES}
    else:
        assert {"confirm", "delete", "undo-and-go", "play", "review", "help", "go-to"} <= done
    for attribute, holds in (("direction", direction_of(12, 4)), ("speed", speed_of(12, 0))):
        reset(page, 12)
        page.click(
            f"[data-action={attribute}][data-value='{4 if attribute == 'direction' else 0}']"
        )
        assert holds(page)
    reset(page)


def test_a_click_leaves_the_keys_where_they_were(page):
    """Enter after a click on a button keeps a label; it does not press the button again."""
    page.click("[data-action=forward-ten]")
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
    page.locator("#filter-order").focus()
    keys(page, "ArrowUp")
    expect(page.locator("#filter-order")).to_have_value("time")
    page.locator("[data-state=reviewed]").focus()
    keys(page, "Enter")
    assert states(page) == ["reviewed"]


def test_a_box_that_is_ticked_with_keys_leaves_them_to_labels(page):
    """Space is for the box that Tab reached, a digit for the label."""
    page.locator("#show-guides").focus()
    keys(page, " ")
    assert not page.is_checked("#show-guides")
    assert page.locator("body.playing").count() == 0
    keys(page, "4")
    assert current(page) == img_id(1)


def test_a_button_reached_with_tab_is_pressed_by_enter(page):
    page.locator("[data-action=forward-ten]").focus()
    keys(page, "Enter")
    assert current(page) == img_id(10)
    expect(page.locator("#progress-count")).to_contain_text("0 of 40")


def test_the_focus_can_be_seen(page):
    """Everything that Tab reaches has an outline."""
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
    assert {"confirm", "delete", "play", "filter-order", "shift-by"} <= seen
    keys(page, "v", "ArrowRight")
    for _ in range(80):
        keys(page, "Shift+Tab" if page.locator("#panel :focus").count() else "Tab")
        if page.locator("#scroller:focus").count():
            break
    outline = page.evaluate(
        """() => { const list = document.activeElement;
            const style = getComputedStyle(document.getElementById(
                list.getAttribute("aria-activedescendant")));
            return [list.id, style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
    )
    assert outline[:2] == ["scroller", "solid"]
    assert outline[2] > page.evaluate(
        """() => { document.activeElement.blur();
            return parseFloat(getComputedStyle(document.querySelector(".tile.current"))
                .outlineWidth); }"""
    )
