"""Opening the page in the desktop's browser, without showing the token to other users."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import mkstemp
from threading import Thread

_REDIRECT_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Labelizer</title>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<a href="{address}">Open the labelizer</a>
"""


def has_desktop(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    """Return whether a browser started here is visible to the user; false over plain SSH."""
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return True
    return system == "darwin" and not environment.get("SSH_CONNECTION")


@contextmanager
def page_open_in_browser(address: str, *, beside: Path) -> Iterator[None]:
    """Open the address in a browser, if there is a desktop, while the block runs.

    The address contains the token, and other users can see the arguments of a process. So the
    browser gets a redirect page that only its owner can read. The file is next to `beside`, because
    some browsers cannot read the temporary folder.
    """
    page = _write_redirect_page(address, beside) if has_desktop() else None
    if page is None:
        yield
        return
    _open_browser(page.absolute().as_uri())
    try:
        yield
    finally:
        page.unlink(missing_ok=True)


def _write_redirect_page(address: str, beside: Path) -> Path | None:
    """Write the redirect page, readable by its owner only; None if the folder is read-only."""
    try:
        descriptor, name = mkstemp(".html", f"{beside.name}.labelizer.", beside.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(_REDIRECT_PAGE.format(address=escape(address)))
    except OSError:  # the address is printed as well
        return None
    return Path(name)


def _open_browser(address: str) -> None:
    """Start the default browser in the background, with its output discarded."""
    command = [sys.executable, "-m", "webbrowser", "-t", address]
    silence = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    options = {**silence, "start_new_session": True}  # Ctrl-C is for the labelizer
    Thread(target=subprocess.run, args=(command,), kwargs=options, daemon=True).start()
