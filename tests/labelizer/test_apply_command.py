"""The printed command that applies an export: it selects the same database from anywhere."""

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
from get_data.labelizer.apply_command import build_apply_command, quote_for_shell
from tests.browser.drives import drive
from tests.browser.server import Labelizer

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


def documented_variables():
    """Return the variables that select the database, and whether each is a secret."""
    rows = re.findall(r"^\| (`PATATE_[^|]*) \| (.*) \|$", TEAM_PAGE, re.MULTILINE)
    return {
        name: "never printed" in description
        for names, description in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def parse_settings(command):
    """Return the variables that a command sets."""
    words = shlex.split(command)
    return dict(word.split("=", 1) for word in words if re.match(r"[A-Z_0-9]+=", word))


def test_the_command_sets_each_variable_and_no_secret(tmp_path, monkeypatch):
    """A variable that is not documented is set or named as well."""
    documented = documented_variables()
    assert len(documented) > 10
    environment = {name: f"value-of-{name.lower()}" for name in documented}
    environment |= {
        "PATATE_S3_SESSION_TOKEN": "value-of-token",
        "PATATE_ES_NEW": "new",
        "HOME": "x",
    }
    monkeypatch.setenv("PATATE_HOME", "value-of-patate_home")
    apply = build_apply_command(tmp_path / "labels.json", tmp_path, environment)
    settings = parse_settings(apply.command)
    secrets = {name for name, is_secret in documented.items() if is_secret}
    secrets.add("PATATE_S3_SESSION_TOKEN")
    assert set(apply.set_first) == secrets
    assert settings.keys() == ({*documented, "PATATE_ES_NEW"} - secrets - {"PATATE_SERVER_CACHE"})
    for name in secrets:
        assert environment[name] not in apply.command


def test_an_address_with_credentials_is_not_printed(tmp_path):
    environment = {"PATATE_ES_URL": "https://zoe:patate@example.org:9200"}
    apply = build_apply_command(tmp_path / "labels.json", tmp_path, environment)
    assert "patate@" not in apply.command
    assert apply.set_first == ["PATATE_ES_URL"]


@pytest.mark.parametrize("elsewhere", [{}, {"PATATE_DATABASE": "local"}, TEAM])
@pytest.mark.parametrize("here", [{}, {"PATATE_DATABASE": "local", **TEAM}, TEAM])
def test_the_command_overrides_the_database_of_another_terminal(tmp_path, here, elsewhere):
    command = build_apply_command(tmp_path / "labels.json", tmp_path, here).command
    other_terminal = {**elsewhere, **parse_settings(command)}
    assert connection.selects_team(other_terminal) == connection.selects_team(here)


@pytest.mark.parametrize("name", PATHS)
def test_a_shell_reads_a_quoted_word_unchanged(name):
    shell = shutil.which("bash")
    if not shell:
        pytest.skip("no bash here")
    done = subprocess.run(
        [shell, "-c", f"printf %s {quote_for_shell(name)}"], capture_output=True, check=True
    )
    assert done.stdout == os.fsencode(name)
    assert quote_for_shell(name).isprintable()


EDIT = {
    "uid": "12345678-aaaa-4bbb-8ccc-1234567890ab",
    "kind": "label",
    "text": "direction 4",
    "positions": [[2, 2]],
    "set": {"direction": [[4, 1]], "reviewed": [[1, 1]]},
    "was": {"direction": [[2, 1]], "reviewed": [[0, 1]]},
}


@pytest.mark.parametrize("name", ["drive", "a drive's $1"])
def test_the_printed_command_works_from_anywhere(tmp_path, monkeypatch, name):
    """Terminal and page show the same command, which depends on no relative path."""
    home, elsewhere = tmp_path / "my home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATATE_HOME", "my home")
    for variable in [name for name in os.environ if name.startswith(("PATATE_ES", "PATATE_S3"))]:
        monkeypatch.delenv(variable)
    folder = drive(tmp_path / name, 3)
    upload = [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder)]
    assert subprocess.run(upload, capture_output=True).returncode == 0
    labelizer = Labelizer(Path(name)).start()
    try:
        headers, page = labelizer.enter()
        [work] = re.findall(r'name="work" content="(\w+)"', page)

        def post(endpoint, body):
            content = json.dumps({"work": work, **body}).encode()
            address = f"{labelizer.origin}/api/{endpoint}"
            request = urllib.request.Request(address, content, headers)
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())

        epoch = post("lease", {"browser": "browser one"})["epoch"]
        post("edits", {"epoch": epoch, "operations": [EDIT]})
        page = post("export", {})
    finally:
        labelizer.stop()
    log = labelizer.log.read_text()
    command = page["apply"]["command"]
    assert command in log
    monkeypatch.delenv("PATATE_HOME")
    monkeypatch.setenv("PATATE_ES_URL", "http://127.0.0.1:1")  # a terminal set up for a team
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
