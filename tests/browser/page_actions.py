"""Actions on the page and queries of it that many browser tests need."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.server import Labelizer

AWAY = (  # the server is down
    "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET"
    "|ERR_CONTENT_LENGTH_MISMATCH|ERR_INCOMPLETE_CHUNKED_ENCODING"  # within an answer
)


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


def show_only(page: Page, *states: str) -> None:
    """Show the pictures of all these states; without one, all pictures."""
    for chip in page.locator("[data-state]").all():
        is_wanted = chip.get_attribute("data-state") in states
        if is_wanted != (chip.get_attribute("aria-pressed") == "true"):
            chip.click()


def states(page: Page) -> list[str]:
    """Return the states that are chosen."""
    chosen = page.locator("[data-state][aria-pressed=true]").all()
    return [str(chip.get_attribute("data-state")) for chip in chosen]


def serve_model(
    page: Page,
    count: int,
    *,
    clips: Sequence[tuple[int, int]] = (),
    scores: Mapping[int, float] | None = None,
    predicted: Sequence[float | None] | None = None,
    late: Mapping[int, int] | None = None,
) -> None:
    """Let the page get this model of `count` pictures; it expects 0.5 unless told otherwise."""
    score = [(scores or {}).get(position, 0.0) for position in range(count)]
    for first, last in clips:
        score[first : last + 1] = [max(each, 0.4) for each in score[first : last + 1]]
    model = {
        "status": "ready",
        "positions": list(range(count)),
        "score": score,
        "predicted": predicted or [0.5] * count,
        "doubtful": 0.3,
        "wrong": [position for position in range(count) if score[position] >= 0.6],
        "order": sorted(range(count), key=lambda position: -score[position]),
        "clips": clips,
        "late": [{"drive": drive, "pictures": by} for drive, by in (late or {}).items()],
    }
    page.route("**/api/model", lambda route: route.fulfill(json=model))


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
