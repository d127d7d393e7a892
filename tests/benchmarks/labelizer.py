"""The labelizer in a browser: from a key to the next picture, and a hundred thousand labels.

python -m tests.benchmarks.labelizer

Server and browser share this machine. Asked: the next picture painted within 100 ms of the key at
p95, better 35; 100,000 labels usable in 3 s, jumps at p95 and an edit of 10,000 within 500 ms, an
export within 20 s.
"""

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from get_data.cli import arguments
from tests.benchmarks.recorder import say
from tests.browser.conftest import ARGUMENTS, SIZE, ready
from tests.browser.drives import drive, long_drive
from tests.browser.page_actions import export, keys, saved
from tests.browser.server import Labelizer, running
from tests.browser.test_scale import jump
from tests.servers import fetch

KEYS_A_SECOND = 10
THINKING_S = 0.6
BULK = 10_000
SAVED = "() => document.getElementById('save-state').textContent === '✓ All saved'"


def p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def row(what: str, figure: str, asked: str = "", *, met: bool = True) -> None:
    say(f"| {what} | {figure} | {asked}{'' if met else ', missed'} |")


def within(what: str, seconds: float, most_s: float) -> None:
    """A row of a time, and whether it is within what was asked."""
    row(what, f"{seconds:.2f} s", f"{most_s:g} s", met=seconds <= most_s)


@contextmanager
def opened(browser: BrowserContext, labelizer: Labelizer, view: str) -> Iterator[Page]:
    """A page at rest."""
    page = browser.new_page()
    page.goto(f"{labelizer.url}#view={view}")
    ready(page)
    page.wait_for_timeout(1000)
    yield page
    page.close()


def timed(act: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def key_to_paint(browser: BrowserContext, folder: Path, pictures: int) -> None:
    """From a key to the next picture painted, as the page measures it."""
    with running(drive(folder, pictures + 1)) as labelizer:
        for what, presses in (("label key", "01234"), ("arrow key", ["ArrowRight"])):
            with opened(browser, labelizer, "single") as page:
                keys(page, "Home")
                start = time.perf_counter()
                for number in range(pictures):
                    keys(page, presses[number % len(presses)])
                    due = (number + 1) / KEYS_A_SECOND - (time.perf_counter() - start)
                    page.wait_for_timeout(max(0, due * 1000))
                saved(page)
                asked = "() => performance.getEntriesByName('key-to-paint').map((m) => m.duration)"
                times = page.evaluate(asked)
            figure = f"{statistics.median(times):.0f} ms, {p95(times):.0f} ms"
            limit = "p95 under 100 ms, aim 35 ms"
            row(f"{what} → next picture painted, p50, p95", figure, limit, met=p95(times) <= 100)


def a_person(browser: BrowserContext, folder: Path, pictures: int) -> None:
    """A person who thinks for 600 ms and then presses a key."""
    with (
        running(drive(folder, pictures + 1)) as labelizer,
        opened(browser, labelizer, "single") as page,
    ):

        def label_all() -> None:
            for number in range(pictures):
                page.wait_for_timeout(THINKING_S * 1000)
                keys(page, "Enter" if number % 3 else "4")
            saved(page)

        limit = pictures * THINKING_S * 1.1
        within(f"{pictures} pictures at {THINKING_S} s of thought each", timed(label_all), limit)


def many_labels(browser: BrowserContext, folder: Path, count: int) -> None:
    """What a very long drive takes."""
    long_drive(folder, count)
    start = time.perf_counter()
    with running(folder, anew=True) as labelizer:
        row("`run_labelizer.py` until it answers", f"{time.perf_counter() - start:.2f} s")
        page = browser.new_page()

        def open_grid() -> None:
            page.goto(f"{labelizer.url}#view=grid")
            ready(page)
            expect(page.locator(".tile.current canvas[data-drawn]")).to_be_visible()

        within("page opened until it can be used", timed(open_grid), 3)
        jumps = [jump(page, number) for number in Random(1).sample(range(count), 40)]
        within("jump until its 48 pictures are drawn, p50", statistics.median(jumps), 0.5)
        within("jump, p95", p95(jumps), 0.5)
        keys(page, "Home")
        keys(page, "[", "o")
        page.fill("#go-to-text", str(BULK))
        keys(page, "Enter")
        expect(page.locator("#go-to")).to_be_hidden()
        keys(page, "]")
        expect(page.locator("#grid-count")).to_have_text(f"{BULK:,} selected")
        within(f"edit of {BULK:,}, until it is shown", timed(lambda: keys(page, "3")), 0.5)
        within("and until it is saved", timed(lambda: page.wait_for_function(SAVED)), 0.5)
        keys(page, "Control+a")
        within(f"edit of {count:,}, until it is shown", timed(lambda: keys(page, "2")), 5)
        saved(page)
        keys(page, "Control+z")
        saved(page)
        within("export, file written and read back", timed(lambda: export(page, labelizer)), 20)
        elements = page.evaluate("() => document.querySelectorAll('*').length")
        heap_mb = page.evaluate("() => performance.memory.usedJSHeapSize") / 1e6
        row("elements in the page", f"{elements:,}", "2,000", met=elements < 2000)
        row("heap of the page", f"{heap_mb:.0f} MB", "150 MB", met=heap_mb < 150)
        resident, peak = memory_mb(labelizer.pid)
        row("memory of the server now, peak (while it reads)", f"{resident:.0f} MB, {peak:.0f} MB")
        page.close()


def memory_mb(pid: int) -> tuple[float, float]:
    """What a process has now, and had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, peak = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    assert now
    assert peak
    return int(now[1]) / 1024, int(peak[1]) / 1024


def main(argv: Sequence[str] | None = None) -> None:
    """Prints both tables."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--labels", type=int, default=100_000)
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="bench-") as temporary, sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=fetch.chromium(), args=ARGUMENTS)
        browser = launched.new_context(viewport=SIZE)
        say(f"\n| one picture after the other, {KEYS_A_SECOND} keys a second | figure | asked |")
        say("|---|---|---|")
        key_to_paint(browser, Path(temporary) / "keys", args.pictures)
        a_person(browser, Path(temporary) / "person", args.pictures)
        say(f"\n| {args.labels:,} labels | figure | asked |")
        say("|---|---|---|")
        many_labels(browser, Path(temporary) / "many", args.labels)
        launched.close()


if __name__ == "__main__":
    sys.exit(main())
