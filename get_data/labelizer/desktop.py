"""The page opened by itself, in the browser of whoever sits at this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import mkstemp
from threading import Thread

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Labelizer</title>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<a href="{address}">Open the labelizer</a>
"""


def has_desktop(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    """Return whether a browser that is opened here shows to somebody; not so over plain SSH."""
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return True
    return system == "darwin" and not environment.get("SSH_CONNECTION")


@contextmanager
def opened(address: str, *, beside: Path) -> Iterator[None]:
    """Open the address in a browser, where there is a desktop, while the block runs.

    Other users see what a program is started with, and the address tells the secret. So the browser
    is given a file that leads there, which only its owner can read; it is beside the work file,
    because some browsers see no temporary folder.
    """
    page = _page(address, beside) if has_desktop() else None
    if page is None:
        yield
        return
    _start(page.absolute().as_uri())
    try:
        yield
    finally:
        page.unlink(missing_ok=True)


def _page(address: str, beside: Path) -> Path | None:
    """Return a file of our own that leads to the address; None where none can be written."""
    try:
        number, name = mkstemp(".html", f"{beside.name}.labelizer.", beside.parent)
        with os.fdopen(number, "w") as file:
            file.write(_PAGE.format(address=escape(address)))
    except OSError:  # the address is printed all the same
        return None
    return Path(name)


def _start(address: str) -> None:
    """Let Python's own choice of a browser open it, without a word on our streams."""
    command = [sys.executable, "-m", "webbrowser", "-t", address]
    silence = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    options = {**silence, "start_new_session": True}  # Ctrl-C is for the labelizer
    Thread(target=subprocess.run, args=(command,), kwargs=options, daemon=True).start()
