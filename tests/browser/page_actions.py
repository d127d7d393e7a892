"""Actions on the page and queries of it that many browser tests need."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.server import Labelizer

AWAY = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET"  # server is down


def current(page: Page) -> str:
    """Return the id of the picture shown."""
    return page.locator("#img-id").inner_text()


def saved(page: Page) -> None:
    """Wait until the server has saved everything."""
    expect(page.locator("#save-state")).to_have_text("✓ All saved")


def keys(page: Page, *presses: str) -> None:
    """Press keys, one after the other."""
    for press in presses:
        page.keyboard.press(press)


def pressed(page: Page, attribute: str) -> int:
    """Return the class of an attribute that the buttons show; -1 for none."""
    chosen = page.locator(f"#{attribute} [aria-pressed=true]")
    return int(chosen.get_attribute("data-value") or -1) if chosen.count() else -1


def toast(page: Page) -> str:
    """Return the page's latest message."""
    return page.locator("#toast").inner_text()


def counts(page: Page, attribute: str, side: str) -> list[int]:
    """Return the numbers of a histogram; `side` is before or now."""
    rows = page.locator(f"#histogram-{attribute} .bar-row")
    return [int(rows.nth(at).get_attribute(f"data-{side}") or -1) for at in range(rows.count())]


def export(page: Page, labelizer: Labelizer) -> dict[str, Any]:
    """Export on the page, and return the labels of the new file."""
    saved(page)
    page.keyboard.press("Control+s")
    page.click("#export")
    expect(page.locator("#exported-file")).to_be_visible()
    file = Path(page.locator("#exported-file").inner_text())
    assert file.parent == labelizer.folder
    assert re.fullmatch(r"labels_[\dT-]+\.json", file.name)
    return json.loads(file.read_bytes())
