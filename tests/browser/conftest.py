"""Fixtures of the browser tests: one Chromium for a worker, one page for a test."""

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
    "--disable-gpu-compositing",
    "--disable-lcd-text",
    "--disable-partial-raster",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=http://127.0.0.1:9",  # unused port: nothing but this machine is reachable
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder as browser tests."""
    folder = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        if str(item.path).startswith(folder):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium; skip the test if there is none, except in CI."""
    try:
        return fetch.chromium()
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Start Playwright."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """Launch one browser for all tests."""
    with playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS) as launched:
        yield launched


@pytest.fixture(scope="module")
def browser_without_frames(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """Launch a browser that never paints, which takes a third of the CPU time.

    Its pages run everything but what waits for a frame. Playwright's clicks do.
    """
    arguments = [*ARGUMENTS, "--disable-threaded-compositing"]
    with playwright.chromium.launch(executable_path=chromium, args=arguments) as launched:
        yield launched


class Watch:
    """Faults of the watched pages: console errors, failed requests, requests to other hosts."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._forgiven: list[str] = []

    def forgive(self, *patterns: str) -> None:
        """Accept faults that this test provokes."""
        self._forgiven += patterns

    def page(self, page: Page) -> Page:
        """Watch a page."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.add(f"pageerror: {error}"))
        page.on("request", self._on_request)
        page.on(
            "response",
            lambda response: (
                (response.ok or response.status == 304)
                or self.add(f"answer: {response.status} {response.url}")
            ),
        )
        return page

    def _on_console(self, message) -> None:
        if message.type == "error":
            self.add(f"console: {message.text}")

    def _on_request(self, request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            self.add(f"foreign: {request.url}")

    def add(self, fault: str) -> None:
        """Add a fault."""
        self.faults.append(fault)

    def check(self) -> None:
        """Assert that all faults were accepted."""
        assert [
            fault
            for fault in self.faults
            if not any(re.search(pattern, fault) for pattern in self._forgiven)
        ] == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fail the test for the faults of its pages."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def start(watch: Watch) -> Iterator[Callable[..., Labelizer]]:
    """Return a function that starts labelizers; stop them after the pages are closed."""
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
    """Open a browser context with a storage of its own."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(HANGS_S * 1000)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, watch: Watch) -> Callable[..., Page]:
    """Return a function that opens a labelizer in a tab and waits until it is ready."""

    def open_page(labelizer: Labelizer, address: str = "", *, page: Page | None = None) -> Page:
        page = page or watch.page(context.new_page())
        page.goto(labelizer.url + address)
        ready(page)
        return page

    return open_page


def ready(page: Page) -> None:
    """Wait until the page can be used."""
    page.wait_for_selector("body[data-ready=yes]")


@pytest.fixture
def labelizer(tmp_path: Path, start: Callable[..., Labelizer]) -> Labelizer:
    """Start a labelizer on twelve pictures."""
    return start(drive(tmp_path / "drive"))


@pytest.fixture
def page(labelizer: Labelizer, open_page: Callable[..., Page]) -> Page:
    """Open the page of the labelizer."""
    return open_page(labelizer)
