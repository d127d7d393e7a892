"""What the server refuses, and what the page never does."""

import http.client
import json
import re
import socket

import pytest
from playwright.sync_api import Error

import path
from tests.browser.drives import drive
from tests.browser.server import running
from tests.browser.words import keys, saved


def ask(labelizer, method, address, body=None, **headers):
    """A request as no browser would send it; status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", labelizer.port, timeout=20)
    connection.putrequest(method, address, skip_host="Host" in headers)
    sent = json.dumps(body).encode() if body is not None else b""
    for name, value in {**headers, "Content-Length": str(len(sent))}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("address", ["/", "/api/entries", "/pic/0", "/static/labelizer/app.js"])
def test_a_foreign_host_is_refused(shared, host, address):
    """Acceptance 23: a name that somebody else's server answers to may not lead here."""
    assert ask(shared, "GET", address, Host=host)[0] == 400


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A labelizer that all tests here may ask."""
    folder = drive(tmp_path_factory.mktemp("security") / "drive")
    (folder / "notes.txt").write_text("not to be served")
    with running(folder) as labelizer:
        yield labelizer


@pytest.mark.parametrize("name", ["lease", "hear", "edits", "export", "reopen"])
def test_a_post_without_the_token_is_refused(shared, name):
    """Acceptance 23: another site cannot make the browser write."""
    assert ask(shared, "POST", f"/api/{name}", {})[0] == 403
    assert ask(shared, "GET", f"/api/{name}")[0] == 405
    assert shared.operations() == []


@pytest.mark.parametrize(
    "address",
    [
        "/pic/../labels.json",
        "/pic/..%2flabels.json",
        "/pic/12",
        "/pic/-1",
        "/pic/99999999999999999999",
        "/sheet/1",
        "/api/document/12",
        "/static/../settings.py",
        "/static/..%2f..%2fviews.py",
        "/static/labelizer/../../views.py",
        "/static//etc/passwd",
        "/settings.py",
        "/views.py",
        "/labels.json",
        "/labels.json.labelizer.sqlite3",
        "/export/labels.json",
        "/export/labels_20201231T15-45-55-123456.json",
        "/notes.txt",
        "/.env",
        "/admin/",
    ],
)
def test_nothing_else_is_served(shared, address):
    """Acceptance 23."""
    assert ask(shared, "GET", address)[0] == 404


@pytest.mark.parametrize("address", ["/", "/api/state", "/pic/0", "/nothing", "/static/labelizer/app.js"])
def test_every_answer_has_the_headers(shared, address):
    """Acceptance 23: what a browser may do with it."""
    _, headers, _ = ask(shared, "GET", address)
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in headers


def test_the_page_has_no_script_or_style_of_its_own(shared):
    """Acceptance 23: all of it comes from files of ours."""
    _, _, content = ask(shared, "GET", "/")
    page = content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\bstyle=|\bon\w+=", page) == []
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert addresses
    assert [one for one in addresses if not one.startswith("/static/labelizer/")] == []


def test_no_file_of_the_page_names_another_place():
    """Acceptance 24: nothing could be asked of anybody else."""
    folder = path.ROOT / "get_data" / "labelizer"
    files = [*folder.rglob("*.js"), *folder.rglob("*.css"), *folder.rglob("*.html")]
    assert len(files) > 20
    named = {
        file.name: found
        for file in files
        if (found := re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", file.read_text()))
    }
    assert named == {}


def test_it_listens_on_this_machine_alone(shared):
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, shared.port), timeout=5)


def test_everything_works_without_a_network(page, labelizer, context):
    """Acceptance 24: in all tests of this folder the browser reaches this machine alone."""
    with pytest.raises(Error, match="PROXY"):
        context.new_page().goto("http://192.0.2.1/")
    keys(page, "4")
    saved(page)
    assert labelizer.entry(0)["direction"] == 4
