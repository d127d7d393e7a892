"""What a new user meets: a page that says what to do, on any screen, by day and by night."""

import pytest
from playwright.sync_api import expect

from get_data.labels import label_file
from tests.browser.conftest import Watch, ready
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import current, keys, pressed, saved, show_only
from tests.browser.server import running

SCREENS = [((1280, 720), "light"), ((1920, 1080), "dark"), ((390, 844), "dark")]
VIEWS = ["overview", "single", "grid", "review"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A labelizer with a missing picture and one that is broken."""
    folder = drive(tmp_path_factory.mktemp("look") / "drive", 40)
    (folder / f"{img_id(4)}.jpg").unlink()
    labels = label_file.read(folder / label_file.NAME)
    labels[img_id(5)].pop("picture_size")
    label_file.write(folder / label_file.NAME, labels)
    (folder / f"{img_id(5)}.jpg").write_bytes(b"no picture")
    with running(folder) as labelizer:
        yield labelizer


@pytest.fixture(scope="module")
def watched():
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture(
    scope="module",
    params=SCREENS,
    ids=lambda value: f"{value[0][0]}-{value[1]}",
)
def screen(request, browser, shared, watched):
    """The page on a screen of some size, light or dark."""
    (width, height), scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 500
    )
    page = watched.page(context.new_page())
    page.goto(shared.url)
    ready(page)
    if page.locator("#bars button").count():  # the browser before it is still being waited for
        page.click("#bars button")
        page.wait_for_load_state()
        ready(page)
    yield page
    context.close()


def test_the_page_itself_says_what_to_press(page, labelizer):
    """Somebody who knows nothing labels the first picture with what the page tells alone."""
    page.goto(labelizer.url)
    ready(page)
    right = page.locator("#direction button", has_text="hard right")
    key = right.locator("kbd").inner_text()  # what the page tells
    keys(page, key.lower())
    assert current(page) == img_id(1)
    told = page.locator("#single").inner_text()
    for words in ("Keep label, next\xa0Enter", "Delete X", "Undo ⌫", "Play Space"):
        assert words.replace("\xa0", " ") in told
    saved(page)
    assert labelizer.entry(0)["direction"] == 4


def test_nothing_reaches_beyond_the_screen(screen):
    """Also with a change to list in the review."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home", "4")
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        expect(screen.locator(f"#{view}")).to_be_visible()
        outside = screen.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((one) => {
                if (one.closest("#strip, #scroller, pre, #changes > *, #folder, svg")) return false;
                const {left, right, width, height} = one.getBoundingClientRect();
                return width && height && (left < -1 || right > innerWidth + 1);
            }).map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert outside == [], view
        assert screen.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), view
    keys(screen, "Control+z")
    saved(screen)


def test_what_a_label_needs_is_on_the_first_screen(screen):
    """Picture, classes and the four keys, without scrolling; also on a phone."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home")
    height = screen.evaluate("() => innerHeight")
    for what in ("#holder", "#direction", "#speed", "[data-action=confirm]", "#delete", "#strip"):
        box = screen.locator(what).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height, what
    smallest = 150 if height < 800 and screen.evaluate("() => innerWidth") > 1000 else 200
    assert screen.locator("#holder").bounding_box()["height"] >= smallest


def test_nothing_jumps(screen):
    """From picture to picture, broken, missing or marked, every control stays where it was."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home")

    def places():
        return [
            screen.locator(what).first.bounding_box()
            for what in ("#holder", "#direction", "#delete", "#strip", "#play", "#panel form")
            if screen.locator(what).first.is_visible()
        ]

    expect(screen.locator("#holder")).to_have_attribute("data-position", "0")
    before = places()
    for number in range(1, 8):
        keys(screen, "ArrowRight")
        expect(screen.locator("#holder")).to_have_attribute("data-position", str(number))
        assert places()[1:] == before[1:], number
    keys(screen, "Shift+X")
    assert places() == before
    keys(screen, "Shift+X", "t")
    assert places() == before
    keys(screen, "t")


def test_the_grid_does_not_jump_when_something_is_selected(screen):
    screen.click("nav [data-view=grid]")
    keys(screen, "Escape", "Home")

    def places():
        places = ("#scroller", "#tile-1 canvas:first-child")
        return [screen.locator(place).bounding_box() for place in places]

    before = places()
    keys(screen, "Control+a")
    expect(screen.locator("#grid-count")).to_have_text("40 selected")
    assert places() == before
    keys(screen, "Escape")
    expect(screen.locator("#grid-count")).to_have_text("40 pictures")


def test_no_view_and_no_bar_moves_what_is_there(screen):
    """A bar comes when something goes wrong; just then nobody wants to press the wrong button."""
    tabs = []
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        buttons = screen.locator("header button").all()
        tabs.append([button.bounding_box() for button in buttons if button.is_visible()][:4])
    assert tabs == [tabs[0]] * 4
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        # in one go, as the next heartbeat that is answered takes the bar away
        shown, before, after = screen.evaluate(
            """async (view) => {
                const {hideBar, showBar} = await import("/static/labelizer/status.js");
                const places = () => [...document.querySelectorAll(`header *, #${view} *`)].filter(
                    (one) => one.checkVisibility() && !one.closest("#bars, svg")).map(
                    (one) => JSON.stringify(one.getBoundingClientRect()));
                const before = places();
                showBar("offline", "The server does not answer. ".repeat(6),
                    {text: "Take over", run: () => {}});
                const shown = document.querySelector("#bars .offline").getBoundingClientRect();
                const after = places();
                hideBar("offline");
                return [shown.width * shown.height, before, after];
            }""",
            view,
        )
        assert shown
        assert after == before, view


def test_a_passing_word_covers_no_button(screen):
    screen.click("nav [data-view=single]")
    keys(screen, "Home", "9")
    expect(screen.locator("#toast")).to_have_class("shown")
    covered = screen.evaluate(
        """() => { const {left, right, top, bottom} = document.getElementById("toast")
                .getBoundingClientRect();
            return [...document.querySelectorAll("button")].filter((one) => {
                const box = one.getBoundingClientRect();
                return one.checkVisibility() && box.left < right && box.right > left &&
                    box.top < bottom && box.bottom > top; }).map((one) => one.textContent); }"""
    )
    assert covered == []


def test_all_that_is_said_of_a_picture_can_be_read(screen):
    """Also of one that is marked, changed, reviewed and broken at once."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home", *["ArrowRight"] * 5, "3", "ArrowLeft", "Shift+X")
    expect(screen.locator("#stamp")).to_be_visible()
    assert screen.locator("#badges .badge").count() >= 3
    clipped = screen.evaluate(
        """() => [document.getElementById("facts"), ...document.querySelectorAll("#badges, .badge")]
            .filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight >
                one.clientHeight + 1).map((one) => one.textContent)"""
    )
    assert clipped == []
    keys(screen, "Control+z", "Control+z")


def test_delete_says_that_it_is_on(screen):
    screen.click("nav [data-view=single]")
    keys(screen, "Home", "Shift+X")
    expect(screen.locator("#delete")).to_have_attribute("aria-pressed", "true")
    keys(screen, "ArrowRight")
    expect(screen.locator("#delete")).to_have_attribute("aria-pressed", "false")
    keys(screen, "Control+z")
    assert screen.locator("nav [aria-current=page]").inner_text() == "Single"


def test_an_empty_filter_shows_no_picture_and_the_way_out(screen):
    """Nothing of the last picture stays; both views say the same, and show all at one click."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home", "Shift+X", "Control+z")
    for view in ("single", "grid"):
        screen.click(f"nav [data-view={view}]")
        show_only(screen, "invalid")
        keys(screen, "Escape")
        shown = screen.locator(f"#{view}")
        expect(shown.locator(".nothing")).to_contain_text("Nothing fits the filter.")
        if view == "single":
            for gone in ("#place", "#img-id", "#values", "#badges"):
                expect(screen.locator(gone)).to_have_text("")
            for gone in ("#overlay", "#stamp", "#label [aria-pressed=true]", ".was", ".neighbour"):
                assert not any(one.is_visible() for one in screen.locator(gone).all()), gone
        shown.locator(".show-all").click()
        expect(shown.locator(".nothing")).to_be_hidden()
        expect(screen.locator("#shown-count")).to_have_text("40 pictures")
    screen.click("nav [data-view=single]")
    expect(screen.locator("#place")).to_have_text("1 of 40")
    assert screen.locator("#label [aria-pressed=true]").count() == 2


def test_the_panel_is_where_it_is_of_use(screen):
    """Filters and selection are for pictures; the other views have all of the screen."""
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        assert screen.locator("#panel").is_visible() == (view in ("single", "grid"))


@pytest.mark.parametrize("screen", [((390, 844), "dark")], indirect=True)
def test_a_finger_finds_each_button(screen):
    """At least 30 pixels both ways, where a finger is all there is."""
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        small = screen.evaluate(
            """() => [...document.querySelectorAll("button:not(.link), select, [type=number]")]
                .filter((one) => one.checkVisibility())
                .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
                .filter(([, box]) => box.width < 30 || box.height < 30)
                .map(([what, box]) => `${what}: ${box.width} x ${box.height}`)"""
        )
        assert small == [], view


def test_a_change_is_listed_whole(screen):
    """No column of the review is cut off."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home", "4")
    screen.click("nav [data-view=review]")
    assert screen.evaluate(
        "() => { const one = document.getElementById('changes');"
        " return one.scrollWidth <= one.clientWidth; }"
    )
    keys(screen, "Control+z")
    saved(screen)


def test_the_rows_of_the_help_begin_at_one_edge(screen):
    keys(screen, "?")
    indents = screen.evaluate(
        """() => [...document.querySelectorAll("#help-groups dd")].map((one) => {
            const range = document.createRange(); range.selectNodeContents(one);
            return Math.round(range.getClientRects()[0].left - one.getBoundingClientRect().left +
                parseFloat(getComputedStyle(one.firstElementChild ?? one).paddingLeft) *
                Number(one.firstElementChild !== null)); })"""
    )
    assert len(set(indents)) == 1
    keys(screen, "Escape")


def test_texts_are_as_large_as_the_browser_is_told(page):
    before = page.locator("#place").bounding_box()["height"]
    session = page.context.new_cdp_session(page)
    session.send("Page.setFontSizes", {"fontSizes": {"standard": 24}})
    assert page.locator("#place").bounding_box()["height"] > before


def luminance(colour):
    channels = [value / 255 for value in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_can_be_read(screen):
    """Contrast of at least 4.5 between every text and what is behind it."""
    for view in VIEWS:
        screen.click(f"nav [data-view={view}]")
        pairs = screen.evaluate(
            """() => {
            const number = (text) => { const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
                return text.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a ?? 1]
                    : [r, g, b, a ?? 1]; };
            const behind = (one) => { for (let at = one; at; at = at.parentElement) {
                const colour = number(getComputedStyle(at).backgroundColor);
                if (colour[3] === 1) return colour; } return [255, 255, 255, 1]; };
            const faint = (one) => { let part = 1; for (let at = one; at; at = at.parentElement)
                part *= Number(getComputedStyle(at).opacity); return part; };
            const ink = (one, paper) => { const colour = number(getComputedStyle(one).color);
                const part = colour[3] * faint(one);
                return colour.map((value, at) => value * part + paper[at] * (1 - part)); };
            return [...document.querySelectorAll("body *")].filter((one) =>
                one.checkVisibility() && !one.closest("svg, #toast, dialog, progress") &&
                [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            .map((one) => [one.outerHTML.slice(0, 90), ink(one, behind(one)), behind(one)]); }"""
        )
        assert len(pairs) > 20
        for what, ink, paper in pairs:
            dark, light = sorted([luminance(ink[:3]), luminance(paper[:3])])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, what


def test_labels_are_not_told_by_colour_alone(page):
    """A tick on the chosen class, signs and words for states."""
    tick = page.evaluate(
        """() => getComputedStyle(document.querySelector("#direction [aria-pressed=true] .number"),
            "::after").content"""
    )
    assert "✓" in tick
    assert pressed(page, "direction") == 0
    keys(page, "4", "x", "v")
    signs = page.locator(".tile .signs")
    assert signs.nth(0).inner_text() == "✎ ✓"
    assert signs.nth(1).inner_text() == "✕"
    assert "to delete" in page.locator("#tile-1").get_attribute("aria-label")
    assert page.locator("#tile-0 .label").inner_text() == "4 hard right · 1"


def test_touch_is_enough(shared, screen):
    """Label, go on, and mark to delete without a key, on any screen."""
    screen.click("nav [data-view=single]")
    keys(screen, "Home")
    screen.locator("#direction button").nth(3).click()
    expect(screen.locator("#place")).to_have_text("2 of 40")
    screen.locator("[data-action=delete]").first.click()
    expect(screen.locator("#place")).to_have_text("3 of 40")
    saved(screen)
    assert shared.entry(0)["direction"] == 3
    assert shared.entry(1)["deleted"] == 1
    screen.locator("[data-action=undo-and-go]").first.click()
    screen.locator("[data-action=undo-and-go]").first.click()
    saved(screen)
