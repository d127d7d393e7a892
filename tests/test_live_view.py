"""What the camera sees, in a browser: the real server, asked over real connections."""

import http.client
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

import path
from common.errors import InputError
from get_data.live import web_view
from get_data.live.view_server import MAX_CONNECTIONS, MAX_VIEWERS, LatestSnapshot, Snapshot
from get_data.live.web_view import MAX_RATE_HZ, LiveView
from get_data.live.wire import DriveState
from get_data.recording.wire import Progress
from tests.helpers.waiting import HANGS_S, wait_until

RED = np.zeros((48, 64, 3), np.uint8)
RED[:, :, 2] = 200


def moment(written=7, state="recording"):
    return DriveState(-0.25, 0.5, state, True, Progress(written, 0, 1, ""))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def view(tmp_path):
    made = LiveView(
        host="127.0.0.1",
        port=free_port(),
        folder=tmp_path,
        resolution=(64, 48),
        rate_hz=20.0,
        jpeg_quality=90,
    )
    made.port = int(json.loads(made._server.args[-1])["settings"]["port"])
    with ExitStack() as made.browsers:
        yield made
    made.close()


def ask(view, place="/", *, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=HANGS_S)
    view.browsers.callback(connection.close)
    connection.request(method, place, headers={"Host": host} if host else {})
    return view.browsers.enter_context(connection.getresponse())


def show_for(view, frames=1, **changed):
    for _ in range(frames):
        view.show(RED, moment(**changed))
        time.sleep(1 / MAX_RATE_HZ + 0.005)


def state_of(view):
    return json.loads(ask(view, "/state").read())


@pytest.mark.parametrize(
    ("place", "kind", "holds"),
    [
        ("/", "text/html", b"<title>Patate: what the camera sees</title>"),
        ("/view.css", "text/css", b"prefers-color-scheme"),
        ("/view.js", "text/javascript", b"/pictures"),
        ("/state", "application/json", b"{}"),
    ],
)
def test_the_page_and_what_belongs_to_it_are_served(view, place, kind, holds):
    answer = ask(view, place)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert holds in answer.read()


def test_the_page_needs_nothing_from_elsewhere_and_has_no_inline_script():
    for file in (path.ROOT / "get_data/live/page").iterdir():
        assert "http" not in file.read_text()
    page = (path.ROOT / "get_data/live/page/index.html").read_text()
    assert page.count("<script") == page.count('<script src="/view.js"') == 1
    assert "style=" not in page


@pytest.mark.parametrize(
    ("place", "method", "host", "status"),
    [
        ("/../../labels.json", "GET", None, 404),
        ("/view/index.html", "GET", None, 404),
        ("/", "POST", None, 501),
        ("/", "GET", "elsewhere.example", 403),
        ("/pictures", "GET", "elsewhere.example:80", 403),
        ("/", "GET", "raspberrypi.local:8080", 200),
        ("/", "GET", "car", 200),
        ("/", "GET", "[::1]:8080", 200),
        ("/", "GET", "192.168.1.7:8080", 200),
    ],
)
def test_nothing_else_is_served_nor_by_another_name(view, place, method, host, status):
    assert ask(view, place, method=method, host=host).status == status


def pictures(answer):
    """The JPEG files of a moving picture, as they come."""
    while True:
        line = answer.readline()
        assert line, "the stream has ended"
        if line.lower().startswith(b"content-length"):
            length = int(line.split(b":")[1])
            answer.readline()
            yield answer.read(length)


def test_pictures_come_as_a_moving_picture_in_the_right_colours(view):
    show_for(view)
    answer = ask(view, "/pictures?1")
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
    stream = pictures(answer)
    first = next(stream)
    show_for(view)
    assert next(stream)
    seen = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == RED.shape
    blue, green, red = seen.mean(axis=(0, 1))
    assert red > 180
    assert max(blue, green) < 30


def test_the_state_tells_command_rate_and_minutes_left(view):
    wait_until(lambda: show_for(view) or state_of(view).get("minutes_left"))
    state = state_of(view)
    assert (state["steering"], state["throttle"]) == (-0.25, 0.5)
    assert state["state"] == "recording"
    assert state["progress"] == {"written": 7, "erased": 0, "dropped": 1, "stopped": ""}
    assert (state["width"], state["height"]) == (64, 48)
    assert state["minutes_left"] > 0
    start_s = time.monotonic()
    wait_until(
        lambda: (
            show_for(view, written=7 + int((time.monotonic() - start_s) * 30))
            or state_of(view)["rate_hz"] > 10
        )
    )


def test_a_browser_that_takes_nothing_does_not_slow_the_drive(view):
    with socket.create_connection(("127.0.0.1", view.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /pictures HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        noise = np.random.default_rng(1).integers(0, 255, RED.shape, np.uint8)
        for _ in range(60):  # who waited for that browser would wait for ever
            view.show(noise, moment())
            time.sleep(0.01)
        assert state_of(view)["state"] == "recording"  # and the others see


def test_more_pictures_than_browsers_want_are_left_out(view, monkeypatch):
    put = []
    monkeypatch.setattr(view._queue, "put", lambda head, body: put.append(head))
    start_s = time.monotonic()
    for _ in range(50):
        view.show(RED, moment())
        time.sleep(0.005)
    assert 2 <= len(put) <= 2 + (time.monotonic() - start_s) * MAX_RATE_HZ


def test_so_many_may_watch_and_a_seat_is_free_again(view):
    show_for(view)
    with ExitStack() as watching:
        for _ in range(MAX_VIEWERS):
            answer = watching.enter_context(ask(view, "/pictures"))
            assert answer.status == 200
        assert ask(view, "/pictures").status == 503
    wait_until(lambda: show_for(view) or ask(view, "/pictures").status == 200)


def test_browsers_that_leave_before_the_first_picture_free_their_seats(view):
    """As one does that is reloaded while the car is looked at."""
    for _ in range(MAX_VIEWERS):
        with socket.create_connection(("127.0.0.1", view.port)) as browser:
            browser.sendall(b"GET /pictures HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert browser.recv(12) == b"HTTP/1.1 200"
    wait_until(lambda: ask(view, "/pictures").status == 200, 10)


HELD = {
    "nothing": b"",
    "half a request": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    "half a body": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000000\r\n\r\n{",
}


@pytest.mark.parametrize("sent", HELD)
def test_connections_that_say_nothing_keep_nobody_out(view, sent):
    """However many: the oldest make room, and whoever watches goes on watching."""
    show_for(view)
    stream = pictures(ask(view, "/pictures"))
    assert next(stream)
    with ExitStack() as held:
        for number in range(300):
            idle = held.enter_context(socket.create_connection(("127.0.0.1", view.port), 30))
            with suppress(OSError):  # it may have had to make room by now
                idle.sendall(HELD[sent])
            if number % 100 == 99:
                assert ask(view, "/state").status == 200
        threads = len(list(Path(f"/proc/{view._server.pid}/task").iterdir()))
        assert threads < MAX_CONNECTIONS + MAX_VIEWERS + 40
        show_for(view)
        assert next(stream)


def test_what_is_sent_is_not_kept(view):
    with socket.create_connection(("127.0.0.1", view.port), 30) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 30000000\r\n\r\n")
        sent = 0
        with suppress(OSError):
            while sent < 30_000_000:
                sender.sendall(b"x" * 100_000)
                sent += 100_000
        assert sent < 30_000_000


def test_a_picture_larger_than_was_told_is_left_out_and_the_next_is_shown(view):
    view.show(np.zeros((49, 64, 3), np.uint8), moment())
    assert state_of(view) == {}
    wait_until(lambda: show_for(view) or state_of(view))
    view.show(np.zeros((24, 32, 3), np.uint8), moment())
    wait_until(lambda: (state_of(view)["width"], state_of(view)["height"]) == (32, 24))


def test_a_port_that_is_taken_is_told(tmp_path, view):
    with pytest.raises(
        InputError, match=rf"^--view {view.port}: cannot listen at 127\.0\.0\.1.*in use"
    ):
        LiveView(
            host="127.0.0.1",
            port=view.port,
            folder=tmp_path,
            resolution=(64, 48),
            rate_hz=20.0,
            jpeg_quality=90,
        )


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_an_address_that_is_none_of_ours_is_told(tmp_path, host):
    with pytest.raises(
        InputError,
        match=rf"^--view-host {host}: cannot listen at {host}: .*127\.0\.0\.1.*0\.0\.0\.0",
    ):
        LiveView(
            host=host,
            port=free_port(),
            folder=tmp_path,
            resolution=(64, 48),
            rate_hz=20.0,
            jpeg_quality=90,
        )


@pytest.mark.parametrize(
    ("host", "name", "address"),
    [
        ("127.0.0.1", "car", "http://127.0.0.1:8080/"),
        ("::1", "car", "http://[::1]:8080/"),
        ("car", "car", "http://car:8080/"),
        ("0.0.0.0", "car", "http://car.local:8080/"),
        ("::", "car.lan", "http://car.local:8080/"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(monkeypatch, host, name, address):
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert web_view.view_url(host, 8080) == address


def test_closing_ends_the_process_and_what_browsers_watch(view):
    show_for(view)
    answer = ask(view, "/pictures")
    assert next(pictures(answer))
    pid = view._server.pid
    view.close()
    assert not Path(f"/proc/{pid}").exists()
    answer.read()  # to the end
    view.close()


@pytest.mark.slow
def test_a_drive_that_is_killed_takes_its_view_along(tmp_path):
    code = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(path.ROOT)!r})
        from pathlib import Path
        from get_data.live.web_view import LiveView
        view = LiveView(host="127.0.0.1", port={free_port()}, folder=Path({str(tmp_path)!r}),
                        resolution=(64, 48), rate_hz=20.0, jpeg_quality=90)
        print(view._server.pid, flush=True)
        time.sleep(9999)
    """)
    drive = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    server = int(drive.stdout.readline())
    os.kill(server, 0)
    drive.kill()
    drive.communicate()
    wait_until(lambda: not Path(f"/proc/{server}").exists())


def test_whoever_waits_for_the_newest_skips_what_came_between():
    newest = LatestSnapshot()
    for number in range(3):
        newest.put(Snapshot(bytes([number]), b"{}"))
    assert newest.wait_newer(0, timeout_s=HANGS_S) == (3, Snapshot(b"\x02", b"{}"))
    assert newest.wait_newer(3, timeout_s=0.01) == (3, Snapshot(b"\x02", b"{}"))
    newest.close()
    assert newest.wait_newer(3, timeout_s=HANGS_S) == (3, None)
