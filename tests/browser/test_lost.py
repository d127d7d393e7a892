"""What is lost when something dies: nothing. Servers, browsers, disks, other tabs."""

import os
import re
import resource
import signal
import subprocess

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ARGUMENTS, SIZE, ready
from tests.browser.drives import drive, img_id
from tests.browser.page_actions import AWAY, current, keys, saved, show_only, states
from tests.helpers.waiting import wait_until


@pytest.fixture
def labelizer(tmp_path, start):
    """A labelizer on a hundred pictures."""
    return start(drive(tmp_path / "drive", 100))


def uids(labelizer):
    return [one["uid"] for one in labelizer.operations()]


def test_a_lost_server_stops_nobody(page, labelizer, watch):
    """Killed in the middle; labelling goes on; everything comes once it is back.

    Its new address is needed: the one before may have been told to whoever had the port meanwhile.
    """
    watch.forgive(AWAY, "403")
    answered = []
    page.on("response", lambda answer: answer.url.endswith("/api/edits") and answered.append(1))
    for _ in range(10):  # while steps are on their way: some came, some did not
        keys(page, "4")
        page.wait_for_timeout(50)
    while not answered:
        page.wait_for_timeout(20)
    labelizer.kill()
    keys(page, *"3" * 25)
    assert current(page) == img_id(35)
    expect(page.locator("#save-state")).to_have_text(re.compile(r"⚠ Offline, (2[5-9]|3\d) unsent"))
    assert page.evaluate(
        "() => { const e = new Event('beforeunload', {cancelable: true});"
        " window.dispatchEvent(e); return e.defaultPrevented; }"
    )
    labelizer.start()
    bar = page.locator("#bars .locked")
    expect(bar).to_contain_text("the address that the labelizer printed")
    expect(page.locator("#save-state")).to_have_text(re.compile(r"⚠ Locked, (2[5-9]|3\d) unsent"))
    assert labelizer.rows("SELECT count(*) FROM operation")[0][0] <= 10
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto(labelizer.url)
    ready(page)
    saved(page)
    assert asked == []  # whether to leave: nothing is lost by it
    assert len(uids(labelizer)) == len(set(uids(labelizer))) == 35
    rows = labelizer.rows("SELECT direction FROM entry ORDER BY position LIMIT 35")
    assert [row[0] for row in rows] == [4] * 10 + [3] * 25
    assert page.locator("#bars .bar").count() == 0


def test_an_operation_whose_answer_is_lost_counts_once(page, labelizer, watch):
    """The server has it, the page does not know, and sends it again."""
    watch.forgive("ERR_FAILED")
    lost = []

    def lose(route):
        if lost:
            route.continue_()
            return
        lost.append(route.fetch())
        route.abort()

    page.route("**/api/edits", lose)
    keys(page, "4")
    saved(page)
    assert lost
    assert len(labelizer.operations()) == 1


HALVES = [
    ("a half answer", {"content_type": "application/json", "body": '{"source_'}),
    ("another program", {"content_type": "text/html", "body": "It works!"}),
    ("a bug", {"status": 500, "content_type": "text/html", "body": "Server Error"}),
]


@pytest.mark.parametrize("answer", [row[1] for row in HALVES], ids=[row[0] for row in HALVES])
def test_what_the_server_could_not_say_is_asked_again(page, labelizer, watch, answer):
    watch.forgive("500")
    given = []

    def fail(route):
        given.append(answer)
        route.fulfill(**answer) if len(given) == 1 else route.continue_()

    page.route("**/api/edits", fail)
    keys(page, "4", "3")
    saved(page)
    assert len(labelizer.operations()) == 2
    assert given
    assert page.locator("#bars .bar").count() == 0


def test_a_page_that_is_no_longer_known_opens_again_and_loses_nothing(
    page, labelizer, context, watch
):
    """Its cookie is gone, say: the way on is a reload, which asks nobody."""
    watch.forgive("403")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    context.clear_cookies(name=f"labelizer-{labelizer.port}")
    page.mouse.click(600, 300)
    keys(page, "4", "3")
    expect(page.locator("#bars .refused")).to_contain_text("status 403")
    expect(page.locator("#save-state")).to_have_text("⚠ 2 refused")
    page.click("#bars .refused button")
    page.wait_for_load_state()
    ready(page)
    saved(page)
    assert len(labelizer.operations()) == 2
    assert asked == []


def test_only_steps_that_can_never_be_saved_can_be_forgotten(page, labelizer, watch):
    watch.forgive("400")
    refusal = {"status": 400, "json": {"why": "input", "message": "no such direction"}}
    page.route("**/api/edits", lambda route: route.fulfill(**refusal))
    keys(page, "4")
    button = page.locator("#bars .refused button")
    expect(button).to_contain_text("1 change")
    button.click()
    page.wait_for_load_state()
    ready(page)
    expect(page.locator("#progress-count")).to_contain_text("0 of 100")
    assert labelizer.operations() == []


def test_a_batch_is_no_longer_than_the_server_takes(page):
    """Steps of very many pictures are long; one that is too long for a batch goes alone."""
    sizes = page.evaluate(
        """async () => {
            const { nextBatch } = await import('/static/labelizer/outbox.js');
            const waiting = (length, count) =>
              Array.from({ length: count }, () => ({ operation: { text: "x".repeat(length) } }));
            return [waiting(10, 60), waiting(1_500_000, 60), waiting(30_000_000, 2), []]
              .map((one) => nextBatch(one).length);
        }"""
    )
    assert sizes == [50, 5, 1, 0]


def test_steps_are_sent_though_the_browser_lost_its_storage(page, labelizer, context, watch):
    """Its user cleared the site's data: the page opens the storage anew, and keeps there again."""
    watch.forgive("ERR_FAILED")
    keys(page, "4")
    saved(page)
    clear = {"origin": labelizer.origin, "storageTypes": "indexeddb"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", clear)
    keys(page, "4", "4", "4")
    saved(page)
    assert len(labelizer.operations()) == 4
    page.route("**/api/edits", lambda route: route.abort())
    keys(page, "3")
    expect(page.locator("#save-state")).to_have_text("⚠ Offline, 1 unsent")
    expect(page.locator("#bars .unkept")).to_be_hidden()
    page.unroute("**/api/edits")
    page.close()
    page = watch.page(context.new_page())
    page.goto(labelizer.url)
    ready(page)
    page.click("#bars button")  # what tells this browser from others was cleared too
    page.wait_for_load_state()
    ready(page)
    saved(page)
    assert labelizer.entry(4)["direction"] == 3


def test_a_step_that_the_browser_cannot_keep_is_said_and_sent(page, labelizer):
    """Its disk is full: the step is in this page alone until the server has it."""
    keys(page, "4")
    saved(page)
    page.evaluate(
        """() => {
            window.isFull = true;
            const add = IDBObjectStore.prototype.add;
            IDBObjectStore.prototype.add = function (...values) {
              const request = add.apply(this, values);
              if (window.isFull) this.transaction.abort();
              return request;
            };
        }"""
    )
    keys(page, "3", "2")
    bar = page.locator("#bars .unkept")
    expect(bar).to_contain_text("leave this page open")
    saved(page)
    assert [one["text"] for one in labelizer.operations()[1:]] == ["direction 3", "direction 2"]
    page.evaluate("() => { window.isFull = false; }")
    keys(page, "1")
    saved(page)
    expect(bar).to_be_hidden()
    assert len(labelizer.operations()) == 4


def test_what_is_saved_is_not_sent_again(page, labelizer):
    keys(page, *"444")
    saved(page)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.reload()
    ready(page)
    saved(page)
    page.wait_for_timeout(300)
    assert len(sent) > 10
    assert [url for url in sent if url.endswith("/api/edits")] == []


@pytest.fixture
def own_browser(chromium, playwright, tmp_path, watch):
    """Launches a browser of its own on a profile that outlives it; it can be killed."""
    profile = tmp_path / "profile"
    processes = []
    command = [chromium, "--headless=new", "--remote-debugging-port=0"]
    command.append(f"--user-data-dir={profile}")

    def launch():
        (profile / "DevToolsActivePort").unlink(missing_ok=True)
        process = subprocess.Popen(
            [*command, *ARGUMENTS, "about:blank"],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        wait_until(lambda: "\n" in _text(profile / "DevToolsActivePort"))
        port = _text(profile / "DevToolsActivePort").splitlines()[0]
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        page = watch.page(browser.contexts[0].new_page())
        page.set_viewport_size(SIZE)

        def kill():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

        return page, kill

    yield launch
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _text(file):
    return file.read_text() if file.exists() else ""


COUNT_KEPT = """async () => {
    const ended = (request) => new Promise((done) => {
        request.onsuccess = () => done(request.result);
    });
    const names = (await indexedDB.databases()).map((one) => one.name);
    const database = await ended(indexedDB.open(names.find((one) => one.startsWith("labelizer-"))));
    const steps = database.transaction("operations").objectStore("operations");
    const count = await ended(steps.count());
    database.close();
    return count;
}"""


def test_a_killed_browser_sends_what_it_kept(labelizer, own_browser, watch):
    """Thirty keys, none of them sent, then SIGKILL."""
    watch.forgive("ERR_FAILED")
    page, kill = own_browser()
    page.goto(labelizer.url)
    ready(page)
    page.route("**/api/edits", lambda route: route.abort())
    keys(page, *"4" * 30)
    wait_until(lambda: page.evaluate(COUNT_KEPT) == 30)  # some ms after each key
    kill()
    assert labelizer.operations() == []
    page, _ = own_browser()
    page.goto(labelizer.url)
    ready(page)
    saved(page)
    assert len(uids(labelizer)) == len(set(uids(labelizer))) == 30
    expect(page.locator("#progress-count")).to_contain_text("30 of 100")
    keys(page, "Control+z")
    saved(page)
    assert labelizer.entry(29)["reviewed"] == 0


def test_both_killed_go_on_where_they_were(labelizer, own_browser, watch):
    """The same picture, filter, view and counts."""
    watch.forgive(AWAY)
    page, kill = own_browser()
    page.goto(labelizer.url)
    ready(page)
    keys(page, *"4" * 12, "x")
    page.click("#histogram-direction [data-value='1']")
    show_only(page, "unreviewed")
    keys(page, "Escape", "v", "ArrowRight", "ArrowRight")
    saved(page)
    page.wait_for_timeout(400)  # the place is kept a moment after the last step

    def seen(page):
        return [
            page.locator("#progress-count").inner_text(),
            page.locator("#shown-count").inner_text(),
            page.locator(".tile.current").get_attribute("title"),
            states(page),
            page.locator("#histogram-direction").inner_text(),
        ]

    before = seen(page)
    kill()
    labelizer.kill()
    labelizer.start()
    page, _ = own_browser()
    page.goto(labelizer.url)
    ready(page)
    expect(page.locator("#grid")).to_be_visible()
    assert seen(page) == before


def let_in(context, labelizer):
    """The browser has the cookie of the last start, as if its address had been opened in a tab."""
    assert context.request.get(labelizer.url).ok


def test_an_open_page_goes_on_once_its_browser_is_let_in(page, labelizer, context, watch):
    """The server was started again, and another tab opened its new address."""
    watch.forgive(AWAY, "403")
    keys(page, "4", "4")
    saved(page)
    labelizer.stop()
    keys(page, "3")
    labelizer.start()
    expect(page.locator("#save-state")).to_have_text("⚠ Locked, 1 unsent")
    keys(page, "3")
    expect(page.locator("#save-state")).to_have_text("⚠ Locked, 2 unsent")
    let_in(context, labelizer)
    saved(page)
    expect(page.locator("#bars .bar")).to_have_count(0)
    assert [one["text"] for one in labelizer.operations()] == [
        f"direction {value}" for value in (4, 4, 3, 3)
    ]


def test_a_tab_that_is_let_in_sends_what_another_could_not(page, labelizer, open_page, watch):
    """The first tab waits without the secret: the second one writes, and loses nothing of it."""
    watch.forgive(AWAY, "403", "409")
    keys(page, "4")
    saved(page)
    labelizer.stop()
    keys(page, "3", "3")
    labelizer.start()
    expect(page.locator("#save-state")).to_have_text("⚠ Locked, 2 unsent")
    second = open_page(labelizer)
    saved(second)
    assert "token" not in second.url
    assert len(uids(labelizer)) == len(set(uids(labelizer))) == 3
    assert labelizer.entry(2)["direction"] == 3


def test_an_address_of_an_earlier_start_says_where_the_new_one_is(labelizer, context, page):
    before = labelizer.url
    page.close()
    labelizer.stop()
    labelizer.start()
    stale = context.new_page()
    for address in (before, f"{labelizer.origin}/"):
        answer = stale.goto(address)
        assert answer.status == 403
        assert "printed" in stale.inner_text("body")


def test_the_secret_stays_out_of_the_address_and_of_what_is_asked(labelizer, context, watch):
    secret = labelizer.url.partition("token=")[2]
    asked = []
    page = watch.page(context.new_page())
    page.on("request", lambda request: asked.append((request.url, request.all_headers())))
    page.goto(labelizer.url + "#view=grid")
    ready(page)
    assert page.url.startswith(f"{labelizer.origin}/#view=grid")
    page.reload()
    ready(page)
    expect(page.locator("#grid")).to_be_visible()
    assert [url for url, _ in asked if secret in url] == [labelizer.url]
    assert [one for _, headers in asked if secret in (one := headers.get("referer", ""))] == []
    assert page.evaluate("() => document.cookie") == ""


def test_a_page_that_only_shows_goes_on_when_the_other_is_closed(page, labelizer, browser, watch):
    """By itself, once the server has not heard of the other for a while; no click is needed."""
    keys(page, "4")
    saved(page)
    other = browser.new_context(viewport=SIZE)
    second = watch.page(other.new_page())
    second.goto(labelizer.url)
    ready(second)
    expect(second.locator("#save-state")).to_have_text("Read-only")
    page.close()
    expect(second.locator("#save-state")).to_have_text("✓ All saved")
    keys(second, "Home", "2")
    saved(second)
    assert labelizer.entry(0)["direction"] == 2
    other.close()


def test_a_page_writes_into_no_other_folder(
    tmp_path, page, labelizer, start, watch, open_page, context
):
    """Another folder on the same port, with the same count of leases: its work stays its own."""
    watch.forgive(AWAY, "403", "409")
    other = start(drive(tmp_path / "other", 100, track="another"))
    open_page(other).close()
    other.stop()
    keys(page, "4", "4")
    saved(page)
    labelizer.stop()
    keys(page, "3", "3")
    expect(page.locator("#save-state")).to_have_text("⚠ Offline, 2 unsent")
    other.port = labelizer.port
    other.start()
    expect(page.locator("#save-state")).to_have_text("⚠ Locked, 2 unsent")
    let_in(context, other)
    bar = page.locator("#bars .work")
    expect(bar).to_contain_text("Another folder is served here")
    expect(bar).to_contain_text("2 changes of this tab wait")
    expect(page.locator("#save-state")).to_have_text("⚠ Read-only, 2 unsent")
    keys(page, "x")
    expect(page.locator("#toast")).to_contain_text("read-only")
    assert other.operations() == []
    bar.locator("button").click()
    page.wait_for_load_state()
    ready(page)
    saved(page)
    expect(page.locator("#folder")).to_contain_text("other")
    assert other.operations() == []
    other.stop()
    labelizer.start()
    page.goto(labelizer.url)  # what waited comes once its own folder is served again
    ready(page)
    saved(page)
    rows = labelizer.rows("SELECT direction FROM entry ORDER BY position LIMIT 4")
    assert [row[0] for row in rows] == [4, 4, 3, 3]


def test_of_two_tabs_one_writes(page, labelizer, open_page, watch):
    """The second only shows, and takes over; no step of the first is lost."""
    watch.forgive("409")
    keys(page, "4")
    saved(page)
    second = open_page(labelizer)
    expect(second.locator("#save-state")).to_have_text("Read-only")
    keys(second, "3")
    expect(second.locator("#toast")).to_contain_text("read-only")
    assert len(labelizer.operations()) == 1
    # The first tab makes a step that does not get out before the other takes over.
    held = []
    page.route("**/api/edits", lambda route: held.append(route))
    keys(page, "3")
    wait_until(lambda: held or page.wait_for_timeout(10))
    second.click("#bars button")
    second.wait_for_load_state()
    ready(second)
    expect(page.locator("#save-state")).to_contain_text("Read-only")
    with page.expect_response("**/api/edits") as refused:
        held[0].continue_()
    assert refused.value.status == 409  # stale
    expect(page.locator("#bars .stale")).to_be_visible()
    saved(second)
    wait_until(lambda: len(labelizer.operations()) == 2 or second.wait_for_timeout(50))
    assert labelizer.entry(1)["direction"] == 3
    keys(second, "Home", "2")
    saved(second)
    assert labelizer.entry(0)["direction"] == 2
    keys(page, "1")
    expect(page.locator("#toast")).to_contain_text("read-only")
    assert len(labelizer.operations()) == 3


def test_another_browser_asks_before_it_takes_over(page, labelizer, browser, watch):
    """No lock is shared between browsers; the server's lease tells them apart."""
    watch.forgive("409")
    keys(page, "4")
    saved(page)
    other = browser.new_context(viewport=SIZE)
    second = watch.page(other.new_page())
    second.goto(labelizer.url)
    ready(second)
    expect(second.locator("#bars .stale")).to_contain_text("Another tab or browser is labelling")
    held = []  # the first browser does not hear of the other before its next step
    page.route("**/api/heartbeat", lambda route: held.append(route))
    second.click("#bars button")
    second.wait_for_load_state()
    ready(second)
    keys(second, "End", "2")
    saved(second)
    keys(page, "3")
    page.unroute("**/api/heartbeat")
    expect(page.locator("#save-state")).to_have_text("⚠ Read-only, 1 unsent")
    assert labelizer.entry(1)["reviewed"] == 0
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.click("#bars button")  # back again: what waited here comes now
    page.wait_for_load_state()
    ready(page)
    saved(page)
    assert asked == []  # whether to leave: nothing is lost by it
    assert labelizer.entry(1) == {"direction": 3, "speed": 0, "reviewed": 1, "deleted": 0}
    assert labelizer.entry(99)["direction"] == 2
    other.close()


def test_who_takes_over_sees_all_that_was_done(page, labelizer, browser, watch):
    """What the other one saves until the very moment of the take-over is there."""
    watch.forgive("409")
    other = browser.new_context(viewport=SIZE)
    second = watch.page(other.new_page())
    second.goto(labelizer.url)
    ready(second)
    held = []
    second.route("**/api/lease", lambda route: held.append(route))
    second.click("#bars button")
    wait_until(lambda: held or second.wait_for_timeout(10))
    keys(page, "4")
    saved(page)
    held[0].continue_()
    ready(second)
    expect(second.locator("#progress-count")).to_contain_text("1 of 100")
    keys(second, "Control+z")
    saved(second)
    assert labelizer.entry(0)["reviewed"] == 0
    other.close()


def test_a_full_disk_is_said_and_nothing_counts_as_saved(page, labelizer, watch):
    """The work file cannot grow; what waits comes when there is room."""
    watch.forgive("507")
    keys(page, "4")
    saved(page)
    _, most = resource.prlimit(labelizer.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(labelizer.pid, resource.RLIMIT_FSIZE, (1024, most))
    keys(page, "3", "3")
    expect(page.locator("#save-state")).to_have_text("⚠ Not saved, 2 unsent")
    bar = page.locator("#bars .full")
    expect(bar).to_contain_text(
        re.compile("cannot save: .*labels.json.labelizer.sqlite3 cannot be")
    )
    assert len(labelizer.operations()) == 1
    keys(page, "3")
    expect(page.locator("#save-state")).to_have_text("⚠ Not saved, 3 unsent")
    resource.prlimit(labelizer.pid, resource.RLIMIT_FSIZE, (most, most))
    saved(page)
    expect(bar).to_be_hidden()
    assert len(labelizer.operations()) == 4
