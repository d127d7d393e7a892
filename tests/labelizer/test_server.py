"""The labelizer's server: what it serves, to whom, and what it refuses; without a browser."""

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
    """Send a request that no browser would send; return status, headers and body."""
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
    """Another server's host name must not reach this one (DNS rebinding)."""
    assert ask(shared, "GET", address, Host=host)[0] == 400


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A labelizer shared by the tests of this module."""
    folder = drive(tmp_path_factory.mktemp("security") / "drive")
    (folder / "notes.txt").write_text("not to be served")
    with running(folder) as labelizer:
        yield labelizer


@pytest.mark.parametrize("name", ["lease", "heartbeat", "edits", "export", "reopen"])
def test_a_post_without_the_token_is_refused(shared, name):
    """Another site cannot make the browser write."""
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
    assert ask(shared, "GET", address, **shared.enter()[0])[0] == 404


@pytest.mark.parametrize(
    "address", ["/", "/api/state", "/pic/0", "/nothing", "/static/labelizer/app.js"]
)
@pytest.mark.parametrize("client", ["owner", "anonymous"])
def test_every_response_has_the_security_headers(shared, address, client):
    """The browser restricts what the page can load and who can embed it."""
    own = shared.enter()[0] if client == "owner" else {}
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


def test_the_page_has_no_inline_script_or_style(shared):
    """All of them come from static files."""
    _, page = shared.enter()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\bstyle=|\bon\w+=", page) == []
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert addresses
    assert [each for each in addresses if not each.startswith("/static/labelizer/")] == []


def test_no_file_of_the_page_refers_to_another_host():
    """The page can request nothing from elsewhere."""
    folder = path.ROOT / "get_data" / "labelizer"
    files = [*folder.rglob("*.js"), *folder.rglob("*.css"), *folder.rglob("*.html")]
    assert len(files) > 20
    named = {
        file.name: found
        for file in files
        if (found := re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", file.read_text()))
    }
    assert named == {}


def test_it_listens_on_the_loopback_address_only(shared):
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, shared.port), timeout=HANGS_S)


OWNER_ONLY = [
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
    *(("POST", f"/api/{name}") for name in ("lease", "heartbeat", "edits", "export", "reopen")),
]
WRONG_TOKEN = "A" * 43


@pytest.mark.parametrize(("method", "address"), OWNER_ONLY, ids=lambda value: value)
@pytest.mark.parametrize("key", ["none", "wrong", "empty", "of another port", "not text"])
def test_without_the_token_every_request_is_refused(shared, method, address, key):
    """Other users of the machine can reach the port, too."""
    own, _ = shared.enter()
    secret = own["Cookie"].partition(f"labelizer-key-{shared.port}=")[2].partition(";")[0]
    cookies = {
        "none": "",
        "wrong": f"labelizer-key-{shared.port}={WRONG_TOKEN}",
        "empty": f"labelizer-key-{shared.port}=",
        "of another port": f"labelizer-key-{shared.port + 1}={secret}",
        "not text": f"labelizer-key-{shared.port}=\xe9\xff",
    }
    csrf = own["Cookie"].partition(";")[0]
    assert secret not in csrf
    headers = {**own, "Cookie": f"{csrf}; {cookies[key]}"}
    before = shared.rows("SELECT value FROM fact WHERE name = 'epoch'")
    body = {"work": "x"} if method == "POST" else None
    status, response_headers, content = ask(shared, method, address, body, **headers)
    assert status == 403
    assert "Set-Cookie" not in response_headers
    assert len(content) < 500
    assert secret not in content.decode()
    if method == "GET" and not address.startswith("/api"):
        assert content.count(b"\n") == 1
        assert b"printed" in content
    assert shared.rows("SELECT value FROM fact WHERE name = 'epoch'") == before


@pytest.mark.parametrize("token", ["", WRONG_TOKEN, "%ff", "..."])
def test_a_wrong_token_in_the_address_is_refused(shared, token):
    assert ask(shared, "GET", f"/?token={token}")[0] == 403


def test_the_printed_address_sets_a_cookie_that_scripts_cannot_read(shared):
    status, headers, _ = ask(shared, "GET", shared.url.removeprefix(shared.origin))
    assert status == 200
    [cookie] = [each for each in headers.get_all("Set-Cookie") if "-key-" in each]
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))


def test_the_token_in_an_address_opens_the_page_only(shared):
    """Otherwise the address of a picture could be passed on with the token in it."""
    token = shared.url.partition("?")[2]
    assert ask(shared, "GET", f"/pic/0?{token}")[0] == 403


def test_scripts_and_styles_need_no_token(shared):
    assert ask(shared, "GET", "/static/labelizer/app.js")[0] == 200


def test_each_start_has_a_new_token(tmp_path):
    """A program that took over the port meanwhile has received the previous cookie."""
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


class PageClient:
    """A client with the cookie and the CSRF token of an opened page."""

    def __init__(self, labelizer):
        self.labelizer = labelizer
        self.headers, page = labelizer.enter()
        [self.work] = re.findall(r'name="work" content="(\w+)"', page)

    def post(self, name, body):
        """Send a request; return status and content of the response."""
        status, _, content = ask(
            self.labelizer,
            "POST",
            f"/api/{name}",
            {"work": self.work, **body} if isinstance(body, dict) else body,
            **self.headers,
        )
        return status, json.loads(content)


@pytest.fixture
def client(shared):
    return PageClient(shared)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lease", {"browser": "browser one", "take_over": True}),
        ("heartbeat", {"browser": "browser one", "epoch": 1}),
        ("edits", {"epoch": 1, "operations": []}),
        ("export", {}),
        ("reopen", {"how": "anew", "epoch": 1}),
    ],
)
def test_a_page_of_other_work_is_refused(client, shared, name, body):
    """It was opened with another folder on this port, or before the work was reopened."""
    before = shared.rows("SELECT value FROM fact WHERE name = 'epoch'")
    status, answer = client.post(name, {**body, "work": "0" * 32})
    assert (status, answer["why"]) == (409, "work")
    assert shared.rows("SELECT value FROM fact WHERE name = 'epoch'") == before
    assert shared.exports() == []


def edit(**changes):
    """Make an operation as the page sends it."""
    operation = {
        "uid": str(uuid4()),
        "kind": "label",
        "text": "direction 3",
        "positions": [[0, 1]],
        "set": {"direction": [[3, 2]]},
        "was": {"direction": [[0, 1], [1, 1]]},
    }
    return {**operation, **changes}


def test_a_page_with_the_lease_can_save(client, shared):
    status, lease = client.post("lease", {"browser": "browser one"})
    assert (status, lease["epoch"] > 0) == (200, True)
    status, saved = client.post("edits", {"epoch": lease["epoch"], "operations": [edit()]})
    assert (status, saved["source_changed"]) == (200, False)
    assert shared.entry(1)["direction"] == 3


def test_one_browser_at_a_time_has_the_lease(client):
    first = client.post("lease", {"browser": "browser one"})[1]["epoch"]
    assert client.post("lease", {"browser": "browser two"})[1]["epoch"] is None
    assert client.post("heartbeat", {"browser": "browser one", "epoch": first})[1]["holds"] is True
    second = client.post("lease", {"browser": "browser two", "take_over": True})[1]["epoch"]
    assert second == first + 1
    assert client.post("heartbeat", {"browser": "browser one", "epoch": first})[1]["holds"] is False
    status, answer = client.post("edits", {"epoch": first, "operations": [edit()]})
    assert (status, answer["why"]) == (409, "lease")
    client.post("lease", {"browser": "browser one", "take_over": True})


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
def test_an_invalid_batch_is_refused(client, body):
    status, answer = client.post("edits", body)
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
def test_a_batch_with_an_invalid_operation_is_refused_as_a_whole(client, shared, changes):
    before = shared.rows("SELECT * FROM entry"), len(shared.operations())
    epoch = client.post("lease", {"browser": "browser one", "take_over": True})[1]["epoch"]
    body = {"epoch": epoch, "operations": [edit(), edit(**changes)]}
    status, answer = client.post("edits", body)
    assert (status, answer["why"]) == (400, "input")
    assert (shared.rows("SELECT * FROM entry"), len(shared.operations())) == before


def test_pictures_are_cached_forever_and_labels_never(shared):
    _, headers, content = ask(shared, "GET", "/pic/3", **shared.enter()[0])
    assert content == (shared.folder / f"{img_id(3)}.jpg").read_bytes()
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Type"] == "image/jpeg"
    _, headers, content = ask(shared, "GET", "/api/document/3", **shared.enter()[0])
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(content)["img_id"] == img_id(3)


IDLE_REQUESTS = {
    "nothing": b"",
    "half a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    "half a body": b"POST /api/edits HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n{",
    "an answered request": b"GET /static/labelizer/app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("request_name", IDLE_REQUESTS)
def test_idle_connections_of_others_do_not_keep_the_owner_out(shared, request_name):
    """They are more than the server allows; the owner's connection stays open meanwhile."""
    own, _ = shared.enter()
    kept = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=HANGS_S)
    with ExitStack() as stack:
        stack.callback(kept.close)
        kept.request("GET", "/api/state", headers=own)
        kept.getresponse().read()
        before = kept.sock
        for number in range(300):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", shared.port), HANGS_S)
            )
            with contextlib.suppress(OSError):  # it may have been evicted already
                connection.sendall(IDLE_REQUESTS[request_name])
            if number % 100 == 99:
                assert ask(shared, "GET", "/api/state", **own)[0] == 200
        kept.request("GET", "/api/state", headers=own)
        assert kept.getresponse().status == 200
        assert kept.sock is before
        assert len(list(Path(f"/proc/{shared.pid}/fd").iterdir())) < 150


def spooled_bytes(labelizer):
    """Return the total size of the server's open files that have no name."""
    folder = Path(f"/proc/{labelizer.pid}/fd")
    total = 0
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            if "(deleted)" in str(file.readlink()):
                total += file.stat().st_size
    return total


LENGTHS = {
    "content length": b"Content-Length: 30000000",
    "content length and expect": b"Content-Length: 30000000\r\nExpect: 100-continue",
    "chunked": b"Transfer-Encoding: chunked",
}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("address", [b"/api/edits", b"/", b"/static/labelizer/app.js"])
def test_the_body_of_an_anonymous_request_is_not_stored(shared, length, address):
    """The request is refused before its body is read; nothing is spooled to disk."""
    chunk = b"x" * 100_000
    piece = b"186a0\r\n%s\r\n" % chunk if length == "chunked" else chunk
    with socket.create_connection(("127.0.0.1", shared.port), HANGS_S) as connection:
        head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n"
        connection.sendall(head % (address, LENGTHS[length]))
        sent = most = 0
        with contextlib.suppress(OSError):
            while sent < 30_000_000:
                connection.sendall(piece)
                sent += len(chunk)
                most = max(most, spooled_bytes(shared))
        assert most == 0
        assert sent < 30_000_000  # the connection was closed before


def test_the_owner_can_send_the_largest_request_of_the_page(client):
    """An edit of a hundred thousand labels is sent alone, and exceeds a usual batch."""
    status, answer = client.post("edits", {"epoch": 1, "operations": [], "more": "x" * 9_000_000})
    assert (status, answer["why"]) == (400, "input")
