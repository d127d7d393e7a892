"""The command that the labelizer prints: it finds the same database from anywhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import path
from get_data.database import connection
from get_data.labelizer import desktop
from get_data.labelizer.access import Access
from get_data.labelizer.apply_command import build_apply_command, quote_for_shell
from tests.browser.drives import drive
from tests.browser.server import Labelizer
from tests.helpers.waiting import wait_until

TEAM_PAGE = (path.ROOT / "docs" / "team_database.md").read_text()
PATHS = [
    "plain",
    "with space",
    "it's",
    'say "x"',
    "$HOME;`id`",
    "Zoé",
    "a\nb",
    os.fsdecode(b"\xe9"),
]

TEAM = {"PATATE_ES_URL": "https://example.org:9200", "PATATE_S3_BUCKET": "pictures"}


def variables():
    """Those of the table of what chooses the database, and whether they are never printed."""
    rows = re.findall(r"^\| (`PATATE_[^|]*) \| (.*) \|$", TEAM_PAGE, re.MULTILINE)
    return {
        name: "never printed" in told
        for names, told in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def settings_of(command):
    """The variables that a command sets."""
    words = shlex.split(command)
    return dict(one.split("=", 1) for one in words if re.match(r"[A-Z_0-9]+=", one))


def test_the_command_tells_each_variable_and_no_secret(tmp_path, monkeypatch):
    """All that the page names; a new one is told or named too."""
    told = variables()
    assert len(told) > 10
    environment = {name: f"value-of-{name.lower()}" for name in told}
    environment |= {
        "PATATE_S3_SESSION_TOKEN": "value-of-token",
        "PATATE_ES_NEW": "new",
        "HOME": "x",
    }
    monkeypatch.setenv("PATATE_HOME", "value-of-patate_home")
    apply = build_apply_command(tmp_path / "labels.json", tmp_path, environment)
    settings = settings_of(apply.command)
    secrets = {name for name, is_secret in told.items() if is_secret} | {"PATATE_S3_SESSION_TOKEN"}
    assert set(apply.set_first) == secrets
    assert settings.keys() == ({*told, "PATATE_ES_NEW"} - secrets - {"PATATE_SERVER_CACHE"})
    for name in secrets:
        assert environment[name] not in apply.command


def test_an_address_with_a_login_in_it_is_not_told(tmp_path):
    environment = {"PATATE_ES_URL": "https://zoe:patate@example.org:9200"}
    apply = build_apply_command(tmp_path / "labels.json", tmp_path, environment)
    assert "patate@" not in apply.command
    assert apply.set_first == ["PATATE_ES_URL"]


@pytest.mark.parametrize("elsewhere", [{}, {"PATATE_DATABASE": "local"}, TEAM])
@pytest.mark.parametrize("here", [{}, {"PATATE_DATABASE": "local", **TEAM}, TEAM])
def test_the_command_means_the_same_database_where_another_is_chosen(tmp_path, here, elsewhere):
    command = build_apply_command(tmp_path / "labels.json", tmp_path, here).command
    there = {**elsewhere, **settings_of(command)}
    assert connection.selects_team(there) == connection.selects_team(here)


@pytest.mark.parametrize("name", PATHS)
def test_a_word_is_the_same_for_a_shell(name):
    shell = shutil.which("bash")
    if not shell:
        pytest.skip("no bash here")
    done = subprocess.run(
        [shell, "-c", f"printf %s {quote_for_shell(name)}"], capture_output=True, check=True
    )
    assert done.stdout == os.fsencode(name)
    assert quote_for_shell(name).isprintable()


STEP = {
    "uid": "12345678-aaaa-4bbb-8ccc-1234567890ab",
    "kind": "label",
    "text": "direction 4",
    "positions": [[2, 2]],
    "set": {"direction": [[4, 1]], "reviewed": [[1, 1]]},
    "was": {"direction": [[2, 1]], "reviewed": [[0, 1]]},
}


@pytest.mark.parametrize("name", ["drive", "a drive's $1"])
def test_what_is_printed_applies_to_the_same_database_from_anywhere(tmp_path, monkeypatch, name):
    """Terminal and page say the same; relative paths and another folder do not lead astray."""
    home, elsewhere = tmp_path / "my home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATATE_HOME", "my home")
    for variable in [one for one in os.environ if one.startswith(("PATATE_ES", "PATATE_S3"))]:
        monkeypatch.delenv(variable)
    folder = drive(tmp_path / name, 3)
    upload = [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder)]
    assert subprocess.run(upload, capture_output=True).returncode == 0
    labelizer = Labelizer(Path(name)).start()
    try:
        headers, page = labelizer.enter()
        [work] = re.findall(r'name="work" content="(\w+)"', page)

        def post(where, body):
            content = json.dumps({"work": work, **body}).encode()
            address = f"{labelizer.origin}/api/{where}"
            request = urllib.request.Request(address, content, headers)
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())

        epoch = post("lease", {"browser": "browser one"})["epoch"]
        post("edits", {"epoch": epoch, "operations": [STEP]})
        page = post("export", {})
    finally:
        labelizer.stop()
    log = labelizer.log.read_text()
    command = page["apply"]["command"]
    assert command in log
    monkeypatch.delenv("PATATE_HOME")
    monkeypatch.setenv("PATATE_ES_URL", "http://127.0.0.1:1")  # the terminal of a team
    monkeypatch.setenv("PATATE_S3_BUCKET", "pictures")
    done = subprocess.run(
        f"{command} -y",
        shell=True,
        cwd=elsewhere,
        capture_output=True,
        text=True,
        executable="/bin/bash",
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["created"], counts["replaced"]) == (1, 1)
    assert str(home) in done.stderr


@pytest.mark.parametrize(
    ("environment", "system", "shows"),
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
def test_a_page_is_opened_where_somebody_sees_it(environment, system, shows):
    assert desktop.has_desktop(environment, system) is shows


def test_the_page_is_opened_without_telling_the_secret_to_other_users(tmp_path, monkeypatch):
    """They see what a program is started with; the file that leads there is its owner's alone."""
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {told}.new\nmv {told}.new {told}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setenv("DISPLAY", ":0")
    labels = tmp_path / "labels.json"
    address = Access(8000).address
    with desktop.page_open_in_browser(address, beside=labels):
        desktop_file = wait_for(told)
        assert "token" not in desktop_file
        file = Path(desktop_file.removeprefix("file://"))
        assert file.stat().st_mode & 0o777 == 0o600
        assert address in file.read_text()
    assert not file.exists()


def test_nothing_is_opened_or_left_where_there_is_no_desktop(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with desktop.page_open_in_browser("http://127.0.0.1/", beside=tmp_path / "labels.json"):
        assert list(tmp_path.iterdir()) == []


def wait_for(file):
    """The content of a file that another program writes."""
    wait_until(file.exists)
    return file.read_text()
