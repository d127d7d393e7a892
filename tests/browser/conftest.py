"""A Chromium for all tests of a worker, a page for each, and what no page may do."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.browser.drives import drive
from tests.browser.server import Labelizer
from tests.helpers.waiting import HANGS_S
from tests.servers import fetch
from tests.servers.fetching import Missing

expect.set_options(timeout=HANGS_S * 1000)
SIZE = {"width": 1280, "height": 720}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=http://127.0.0.1:9",  # nobody listens there: only this machine is reached
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; a test is skipped where there is none, but not in CI."""
    try:
        return fetch.chromium()
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives the browser."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """One browser for all tests."""
    with playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS) as launched:
        yield launched


class Watch:
    """Notes what no page may do: errors in the console, bad answers, requests elsewhere."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._forgiven: list[str] = []

    def forgive(self, *patterns: str) -> None:
        """Faults of this test that belong to what it tries."""
        self._forgiven += patterns

    def page(self, page: Page) -> Page:
        """Watches a page."""
        page.on("console", lambda said: said.type == "error" and self.note(f"console: {said.text}"))
        page.on("pageerror", lambda error: self.note(f"pageerror: {error}"))
        page.on("request", self._request)
        page.on(
            "response",
            lambda answer: (
                (answer.ok or answer.status == 304)
                or self.note(f"answer: {answer.status} {answer.url}")
            ),
        )
        return page

    def _request(self, request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            self.note(f"foreign: {request.url}")

    def note(self, fault: str) -> None:
        self.faults.append(fault)

    def check(self) -> None:
        """There was nothing but what is forgiven."""
        left = [one for one in self.faults if not any(re.search(p, one) for p in self._forgiven)]
        assert left == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for what its pages did."""
    watching = Watch()
    yield watching
    watching.check()


@pytest.fixture
def start(watch: Watch) -> Iterator[Callable[..., Labelizer]]:
    """Starts labelizers, and ends them after the test, when its pages are gone."""
    started: list[Labelizer] = []

    def run(folder: Path, *options: object) -> Labelizer:
        labelizer = Labelizer(folder, *options)
        started.append(labelizer)
        return labelizer.start()

    yield run
    for labelizer in started:
        labelizer.stop()


@pytest.fixture
def context(browser: Browser, start: object) -> Iterator[BrowserContext]:
    """A browser's storage of its own."""
    made = browser.new_context(viewport=SIZE)
    made.set_default_timeout(HANGS_S * 1000)
    yield made
    made.close()


@pytest.fixture
def open_page(context: BrowserContext, watch: Watch) -> Callable[..., Page]:
    """Opens a labelizer in a tab, and waits until it can be used."""

    def open_it(labelizer: Labelizer, address: str = "", *, page: Page | None = None) -> Page:
        page = page or watch.page(context.new_page())
        page.goto(labelizer.url + address)
        ready(page)
        return page

    return open_it


def ready(page: Page) -> None:
    """The page can be used."""
    page.wait_for_selector("body[data-ready=yes]")


@pytest.fixture
def labelizer(tmp_path: Path, start: Callable[..., Labelizer]) -> Labelizer:
    """A labelizer on twelve pictures."""
    return start(drive(tmp_path / "drive"))


@pytest.fixture
def page(labelizer: Labelizer, open_page: Callable[..., Page]) -> Page:
    """Its page."""
    return open_page(labelizer)
