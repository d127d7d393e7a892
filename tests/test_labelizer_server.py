"""What the labelizer's server refuses, tells and never does; no browser is needed."""

import contextlib
import http.client
import json
import re
import socket
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

import path
from tests.browser.drives import drive, img_id
from tests.browser.server import running
from tests.helpers.waiting import HANGS_S


def ask(labelizer, method, address, body=None, **headers):
    """A request as no browser would send it; status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", labelizer.port, timeout=HANGS_S)
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
    cookie = shared.enter()[0]["Cookie"]
    assert ask(shared, "POST", f"/api/{name}", {}, Cookie=cookie)[0] == 403
    assert ask(shared, "GET", f"/api/{name}", Cookie=cookie)[0] == 405
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
    assert ask(shared, "GET", address, **shared.enter()[0])[0] == 404


@pytest.mark.parametrize(
    "address", ["/", "/api/state", "/pic/0", "/nothing", "/static/labelizer/app.js"]
)
@pytest.mark.parametrize("who", ["the owner", "a stranger"])
def test_every_answer_has_the_headers(shared, address, who):
    """Acceptance 23: what a browser may do with it."""
    own = shared.enter()[0] if who == "the owner" else {}
    _, headers, _ = ask(shared, "GET", address, **own)
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in headers


def test_the_page_has_no_script_or_style_of_its_own(shared):
    """Acceptance 23: all of it comes from files of ours."""
    _, page = shared.enter()
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
            socket.create_connection((address, shared.port), timeout=HANGS_S)


OWNERS = [
    ("GET", "/"),
    ("GET", "/api/entries"),
    ("GET", "/api/state"),
    ("GET", "/api/findings"),
    ("GET", "/api/document/0"),
    ("GET", "/pic/0"),
    ("GET", "/sheet/0"),
    ("HEAD", "/pic/0"),
    ("OPTIONS", "/api/state"),
    ("GET", "/nothing"),
    ("GET", "/export/labels.json"),
    *(("POST", f"/api/{name}") for name in ("lease", "hear", "edits", "export", "reopen")),
]
WRONG = "A" * 43


@pytest.mark.parametrize(("method", "address"), OWNERS, ids=lambda value: value)
@pytest.mark.parametrize("key", ["none", "another", "empty", "of another port", "no text"])
def test_whoever_has_not_the_secret_gets_nothing(shared, method, address, key):
    """Another user of the machine reaches the port as the owner does."""
    own, _ = shared.enter()
    secret = own["Cookie"].partition(f"labelizer-key-{shared.port}=")[2].partition(";")[0]
    cookies = {
        "none": "",
        "another": f"labelizer-key-{shared.port}={WRONG}",
        "empty": f"labelizer-key-{shared.port}=",
        "of another port": f"labelizer-key-{shared.port + 1}={secret}",
        "no text": f"labelizer-key-{shared.port}=\xe9\xff",
    }
    csrf = own["Cookie"].partition(";")[0]
    assert secret not in csrf
    headers = {**own, "Cookie": f"{csrf}; {cookies[key]}"}
    before = shared.rows("SELECT value FROM fact WHERE name = 'epoch'")
    body = {"work": "x"} if method == "POST" else None
    status, answered, content = ask(shared, method, address, body, **headers)
    assert status == 403
    assert "Set-Cookie" not in answered
    assert len(content) < 500
    assert secret not in content.decode()
    if method == "GET" and not address.startswith("/api"):
        assert content.count(b"\n") == 1
        assert b"printed" in content
    assert shared.rows("SELECT value FROM fact WHERE name = 'epoch'") == before


@pytest.mark.parametrize("told", ["", WRONG, "%ff", "..."])
def test_a_wrong_token_in_the_address_opens_nothing(shared, told):
    assert ask(shared, "GET", f"/?token={told}")[0] == 403


def test_the_printed_address_gives_a_cookie_that_scripts_cannot_read(shared):
    status, headers, _ = ask(shared, "GET", shared.url.removeprefix(shared.origin))
    assert status == 200
    [cookie] = [one for one in headers.get_all("Set-Cookie") if "-key-" in one]
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))


def test_the_secret_opens_the_page_alone(shared):
    """A picture's address with the secret in it could be passed on."""
    token = shared.url.partition("?")[2]
    assert ask(shared, "GET", f"/pic/0?{token}")[0] == 403


def test_scripts_and_styles_are_no_secret(shared):
    assert ask(shared, "GET", "/static/labelizer/app.js")[0] == 200


def test_each_start_has_a_secret_of_its_own(tmp_path):
    """Whoever took over the port meanwhile was told the one before by the open page."""
    folder = drive(tmp_path / "drive", 2)
    with running(folder) as labelizer:
        before, address = labelizer.enter()[0], labelizer.url
    labelizer.start()
    try:
        assert labelizer.url != address
        assert ask(labelizer, "GET", "/", **before)[0] == 403
        assert ask(labelizer, "GET", "/", **labelizer.enter()[0])[0] == 200
    finally:
        labelizer.stop()


class Visitor:
    """A page that may write: it has the cookie and the token."""

    def __init__(self, labelizer):
        self.labelizer = labelizer
        self.headers, page = labelizer.enter()
        [self.work] = re.findall(r'name="work" content="(\w+)"', page)

    def post(self, name, body):
        """The status and the content of the answer."""
        status, _, content = ask(
            self.labelizer,
            "POST",
            f"/api/{name}",
            {"work": self.work, **body} if isinstance(body, dict) else body,
            **self.headers,
        )
        return status, json.loads(content)


@pytest.fixture
def visitor(shared):
    return Visitor(shared)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lease", {"browser": "browser one", "take_over": True}),
        ("hear", {"browser": "browser one", "epoch": 1}),
        ("edits", {"epoch": 1, "operations": []}),
        ("export", {}),
        ("reopen", {"how": "anew", "epoch": 1}),
    ],
)
def test_a_page_of_other_work_is_refused(visitor, shared, name, body):
    """It was opened from another folder on this port, or before this one was opened anew."""
    before = shared.rows("SELECT value FROM fact WHERE name = 'epoch'")
    status, answer = visitor.post(name, {**body, "work": "0" * 32})
    assert (status, answer["why"]) == (409, "work")
    assert shared.rows("SELECT value FROM fact WHERE name = 'epoch'") == before
    assert shared.exports() == []


def step(**changes):
    """An operation as the page sends it."""
    operation = {
        "uid": str(uuid4()),
        "kind": "label",
        "text": "direction 3",
        "positions": [[0, 1]],
        "set": {"direction": [[3, 2]]},
        "was": {"direction": [[0, 1], [1, 1]]},
    }
    return {**operation, **changes}


def test_the_token_is_needed_and_enough(visitor, shared):
    status, lease = visitor.post("lease", {"browser": "browser one"})
    assert (status, lease["epoch"] > 0) == (200, True)
    status, saved = visitor.post("edits", {"epoch": lease["epoch"], "operations": [step()]})
    assert (status, saved) == (200, {"source_changed": False})
    assert shared.entry(1)["direction"] == 3


def test_one_browser_at_a_time_has_the_lease(visitor):
    first = visitor.post("lease", {"browser": "browser one"})[1]["epoch"]
    assert visitor.post("lease", {"browser": "browser two"})[1]["epoch"] is None
    assert visitor.post("hear", {"browser": "browser one", "epoch": first})[1]["holds"] is True
    second = visitor.post("lease", {"browser": "browser two", "take_over": True})[1]["epoch"]
    assert second == first + 1
    assert visitor.post("hear", {"browser": "browser one", "epoch": first})[1]["holds"] is False
    status, answer = visitor.post("edits", {"epoch": first, "operations": [step()]})
    assert (status, answer["why"]) == (409, "lease")
    visitor.post("lease", {"browser": "browser one", "take_over": True})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"epoch": 1},
        {"epoch": "1", "operations": []},
        {"epoch": 1, "operations": [], "more": 1},
        {"epoch": 1, "operations": [{"uid": "short"}]},
        [],
        None,
    ],
    ids=str,
)
def test_what_is_no_batch_is_refused(visitor, body):
    status, answer = visitor.post("edits", body)
    assert (status, answer["why"]) == (400, "input")


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": [[0, 12]]},
        {"positions": [[1, 0]]},
        {"positions": [[-1, 0]]},
        {"positions": [[0, 0], [0, 0]]},
        {"positions": []},
        {"set": {}},
        {"set": {"direction": [[5, 2]]}},
        {"set": {"direction": [[-2, 2]]}},
        {"set": {"direction": [[3, 1]]}},
        {"set": {"direction": [[3, 3]]}},
        {"set": {"direction": [[3, -1], [3, 3]]}},
        {"set": {"direction": [[3, 10**18]]}},
        {"set": {"reviewed": [[-1, 2]]}},
        {"set": {"img_id": [[1, 2]]}},
        {"kind": "format"},
        {"text": "x" * 300},
        {"uid": "'; DROP TABLE entry"},
        {"more": 1},
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_is_refused_with_its_whole_batch(visitor, shared, changes):
    before = shared.rows("SELECT * FROM entry"), len(shared.operations())
    epoch = visitor.post("lease", {"browser": "browser one", "take_over": True})[1]["epoch"]
    body = {"epoch": epoch, "operations": [step(), step(**changes)]}
    status, answer = visitor.post("edits", body)
    assert (status, answer["why"]) == (400, "input")
    assert (shared.rows("SELECT * FROM entry"), len(shared.operations())) == before


def test_a_picture_may_be_kept_by_the_browser_for_ever_and_its_label_not_at_all(shared):
    _, headers, content = ask(shared, "GET", "/pic/3", **shared.enter()[0])
    assert content == (shared.folder / f"{img_id(3)}.jpg").read_bytes()
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Type"] == "image/jpeg"
    _, headers, content = ask(shared, "GET", "/api/document/3", **shared.enter()[0])
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(content)["img_id"] == img_id(3)


IDLE = {
    "nothing": b"",
    "half a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    "half a body": b"POST /api/edits HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n{",
    "an answered request": b"GET /static/labelizer/app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", IDLE)
def test_connections_that_strangers_hold_keep_nobody_out(shared, sent):
    """More than the server takes; a connection of the owner stays open all the while."""
    own, _ = shared.enter()
    kept = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=HANGS_S)
    with ExitStack() as held:
        held.callback(kept.close)
        kept.request("GET", "/api/state", headers=own)
        kept.getresponse().read()
        before = kept.sock
        for number in range(300):
            stranger = held.enter_context(
                socket.create_connection(("127.0.0.1", shared.port), HANGS_S)
            )
            with contextlib.suppress(OSError):  # it may have had to make room by now
                stranger.sendall(IDLE[sent])
            if number % 100 == 99:
                assert ask(shared, "GET", "/api/state", **own)[0] == 200
        kept.request("GET", "/api/state", headers=own)
        assert kept.getresponse().status == 200
        assert kept.sock is before
        assert len(list(Path(f"/proc/{shared.pid}/fd").iterdir())) < 150


def spooled(labelizer):
    """The bytes of files that have no name, which it has open."""
    folder = Path(f"/proc/{labelizer.pid}/fd")
    total = 0
    for one in folder.iterdir():
        with contextlib.suppress(OSError):
            if "(deleted)" in str(one.readlink()):
                total += one.stat().st_size
    return total


LENGTHS = {
    "told": b"Content-Length: 30000000",
    "told and asked for": b"Content-Length: 30000000\r\nExpect: 100-continue",
    "chunked": b"Transfer-Encoding: chunked",
}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("address", [b"/api/edits", b"/", b"/static/labelizer/app.js"])
def test_what_a_stranger_sends_is_not_kept(shared, length, address):
    """It is refused before the body is read, and goes to no disk."""
    chunk = b"x" * 100_000
    piece = b"186a0\r\n%s\r\n" % chunk if length == "chunked" else chunk
    with socket.create_connection(("127.0.0.1", shared.port), HANGS_S) as stranger:
        head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n"
        stranger.sendall(head % (address, LENGTHS[length]))
        sent = most = 0
        with contextlib.suppress(OSError):
            while sent < 30_000_000:
                stranger.sendall(piece)
                sent += len(chunk)
                most = max(most, spooled(shared))
        assert most == 0
        assert sent < 30_000_000  # the connection was closed before


def test_the_owner_may_send_as_much_as_the_page_ever_does(visitor):
    """A step of a hundred thousand labels goes alone, and is longer than a batch."""
    status, answer = visitor.post("edits", {"epoch": 1, "operations": [], "more": "x" * 9_000_000})
    assert (status, answer["why"]) == (400, "input")
