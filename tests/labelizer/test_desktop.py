"""The page opened in the desktop's browser."""

import os
from html import unescape
from pathlib import Path

import pytest

from get_data.labelizer import desktop
from get_data.labelizer.access import Access
from tests.browser.server import running
from tests.helpers.waiting import wait_until


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Return a file that gets the address that a browser is opened with."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}.new\nmv {opened}.new {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    return opened


@pytest.mark.parametrize(
    ("environment", "system", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "x"}, "linux", True),
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"SSH_CONNECTION": "x", "BROWSER": "firefox"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
    ],
)
def test_a_desktop_is_detected(environment, system, expected):
    assert desktop.has_desktop(environment, system) is expected


def test_the_token_is_not_on_the_command_line_of_the_browser(opened, tmp_path, monkeypatch):
    """Other users can see command lines; the redirect page is readable by its owner only."""
    monkeypatch.setenv("DISPLAY", ":0")
    labels = tmp_path / "labels.json"
    access = Access(8000)
    address, token = access.address, access.cookie_value
    with desktop.page_open_in_browser(address, beside=labels):
        wait_until(opened.exists)
        url = opened.read_text()
        assert token not in url
        file = Path(url.removeprefix("file://"))
        assert file.stat().st_mode & 0o777 == 0o600
        assert address in file.read_text()
    assert not file.exists()


def test_without_a_desktop_nothing_is_opened_or_written(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with desktop.page_open_in_browser("http://127.0.0.1/", beside=tmp_path / "labels.json"):
        assert list(tmp_path.iterdir()) == []


def test_the_script_opens_the_page_whose_address_it_prints(opened, folder, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    with running(folder, browser=os.environ["BROWSER"]) as labelizer:
        [page] = folder.glob("*.html")
        wait_until(opened.exists)
        assert opened.read_text() == page.as_uri()
        assert f'url={labelizer.url}"' in unescape(page.read_text())
    assert not page.exists()


def test_the_script_opens_no_page_without_a_desktop(opened, folder, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "x")
    with running(folder, browser=os.environ["BROWSER"]) as labelizer:
        labelizer.enter()
        assert not list(folder.glob("*.html"))
    assert not opened.exists()
