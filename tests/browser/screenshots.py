"""Takes the screenshots of the labelizer's README, on a simulated drive.

    python -m tests.browser.screenshots

They are written to get_data/labelizer/docs. With `--sizes DIR` it takes every view in every screen
size, light and dark, into DIR instead.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import path
from get_data.cli import arguments, exit_codes
from tests.benchmarks.processes import run_script
from tests.browser.conftest import ARGUMENTS, ready
from tests.browser.page_actions import keys, saved
from tests.browser.server import running
from tests.servers import fetch

DOCS = path.ROOT / "get_data" / "labelizer" / "docs"
VIEWS = ("single", "grid", "review")
SCREENS = ((1280, 720), (1920, 1080), (390, 844))
QUALITY = 82


def record_drive(folder: Path) -> None:
    """Record a simulated drive of twenty seconds."""
    session = [f"--{name}=demo" for name in ("event", "track", "track-type", "driver", "comment")]
    options = ["-o", str(folder), "--simulate", "--duration", "20", *session]
    run_script("run_manual.py", options, {"PATATE_HOME": str(folder.parent)})


def edit_labels(page: Page) -> None:
    """Edit labels by keys, as somebody would for a while."""
    keys(page, *"ddfd", "Enter", "x", *"dd", "j", *"sdf", *["Enter"] * 14)
    keys(page, *["PageDown"] * 6, "[", *["ArrowRight"] * 6, "]", "x", "Escape")
    keys(page, "PageUp", "PageUp", *["ArrowRight"] * 4, "d", "ArrowLeft")
    saved(page)


def wait_for_model(page: Page) -> None:
    """Wait until the labels that look wrong are known."""
    page.wait_for_selector("#overview [data-action=start-suspicious]:not([hidden])")


def show_view(page: Page, view: str) -> None:
    """Show a view, and wait until its animations have ended."""
    page.click(f"nav [data-view={view}]")
    if view == "grid":
        keys(page, "Escape", "Home", *["ArrowRight"] * 3, *["Shift+ArrowRight"] * 4)
    if view == "single":
        keys(page, "Escape", "Home", "PageDown")
    page.evaluate("() => document.getElementById('toast').classList.remove('shown')")
    page.wait_for_timeout(600)


def take_screenshot(page: Page, file: Path) -> None:
    """Write what the page shows as a compressed picture."""
    png = np.frombuffer(page.screenshot(), np.uint8)
    pixels = cv2.imdecode(png, cv2.IMREAD_COLOR)
    _, encoded = cv2.imencode(file.suffix, pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    file.write_bytes(encoded.tobytes())


def open_page(browser: Browser, url: str, screen: tuple[int, int], scheme: str) -> Page:
    """Open the labelizer on a screen of that size."""
    width, height = screen
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 500
    )
    page = context.new_page()
    page.goto(url)
    ready(page)
    if page.locator("#bars button").count():
        page.click("#bars button")
        page.wait_for_load_state()
        ready(page)
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--sizes", type=Path, metavar="DIR")
    sizes = parser.parse_args(argv).sizes
    with TemporaryDirectory(prefix="screenshots-") as temporary, sync_playwright() as playwright:
        folder = Path(temporary) / "drives" / "monday"
        record_drive(folder)
        browser = playwright.chromium.launch(executable_path=fetch.chromium(), args=ARGUMENTS)
        with running(folder) as labelizer:
            page = open_page(browser, labelizer.url, SCREENS[0], "dark")
            wait_for_model(page)
            page.click("nav [data-view=single]")
            edit_labels(page)
            DOCS.mkdir(exist_ok=True)
            for view in () if sizes else VIEWS:
                show_view(page, view)
                take_screenshot(page, DOCS / f"{view}.webp")
            page.close()
            for screen in SCREENS if sizes else ():
                for scheme in ("light", "dark"):
                    page = open_page(browser, labelizer.url, screen, scheme)
                    for view in ("overview", *VIEWS):
                        show_view(page, view)
                        page.screenshot(path=sizes / f"{view}-{screen[0]}-{scheme}.png")
                    page.close()
        browser.close()
    return exit_codes.DONE


if __name__ == "__main__":
    sys.exit(main())
