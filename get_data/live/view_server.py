"""The process that shows browsers what the camera sees, and never anything else.

Started by `live_view.py`, never by hand; ends when the drive does. A browser gets the page, the
pictures as they come (multipart/x-mixed-replace, which browsers show as a moving picture) and the
state of the drive. Every browser has a thread of its own, which takes the newest picture when it
has sent the last one.
"""

import errno
import ipaddress
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.child_process import report_ready
from common.errors import InputError
from get_data.live.terminal import RateMeter
from get_data.live.web_view import Settings
from get_data.recording import disk, jpeg
from get_data.recording.frame_queue import FrameQueueReader, QueueHandle

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
}
MAX_VIEWERS = 8
MAX_CONNECTIONS = 64  # idle ones, the oldest first, make room for others
NICENESS = 10  # whatever drives or records goes first

_BOUNDARY = "picture"
_STALLED_AFTER_S = 5.0
_LOOKS_EVERY_S = 5.0
_LOOKS_AFTER_S = 1.0  # whether a browser that waits for a picture is still there
_WEIGHT_OF_THE_NEWEST = 0.05
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:"  # the icon, which is empty
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest picture, as a JPEG file, and the state of the drive, as JSON."""

    picture: bytes
    state: bytes


class LatestSnapshot:
    """The newest of all that was shown; whoever wants a newer one waits for it."""

    def __init__(self) -> None:
        self._shown = Snapshot(b"", b"{}")
        self._number = 0
        self._over = False
        self._changed = threading.Condition()

    def put(self, shown: Snapshot) -> None:
        """This is the newest now."""
        with self._changed:
            self._shown = shown
            self._number += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing newer comes."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def after(self, number: int, *, within_s: float) -> tuple[int, Snapshot | None]:
        """The newest with its number, as soon as that is above `number`, or the same again when
        that takes longer; None when the drive is over.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._number > number, within_s)
            return self._number, None if self._over else self._shown

    def now(self) -> Snapshot:
        """The newest, which has no picture before the first one."""
        with self._changed:
            return self._shown


class Viewer(BaseHTTPRequestHandler):
    """Answers one browser."""

    protocol_version = "HTTP/1.1"
    timeout = _STALLED_AFTER_S

    server: "Server"

    def __init__(self, newest: LatestSnapshot, seats: threading.Semaphore, *arguments: Any) -> None:
        self._newest = newest
        self._seats = seats
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Sends the page, the pictures or the state."""
        place = self.path.partition("?")[0]
        if not _is_local_name(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "use the address of the car")
        elif place in FILES:
            name, kind = FILES[place]
            self._send((PAGE / name).read_bytes(), kind)
        elif place == "/state":
            self._send(self._newest.now().state, "application/json")
        elif place == "/pictures":
            self._send_pictures()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self._send_headers(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")

    def _send_pictures(self) -> None:
        """Sends pictures until the browser or the drive has had enough."""
        if not self._seats.acquire(blocking=False):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_VIEWERS} are watching already")
            return
        try:
            self.close_connection = True
            self.server.keep(self.connection)
            self.send_response(HTTPStatus.OK)
            self._send_headers(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            sent = 0
            while not self._has_hung_up():
                number, shown = self._newest.after(sent, within_s=_LOOKS_AFTER_S)
                if not shown:
                    break
                if number > sent:
                    self._send_picture(shown.picture)
                    sent = number
        except OSError:  # the browser is gone, or takes nothing any more
            pass
        finally:
            self._seats.release()

    def _has_hung_up(self) -> bool:
        said = select.select([self.connection], [], [], 0)[0]
        return bool(said) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send_picture(self, picture: bytes) -> None:
        head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
        head += f"Content-Length: {len(picture)}\r\n\r\n"
        self.wfile.write(head.encode() + picture + b"\r\n")

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: the terminal is for the drive."""


def _is_local_name(host: str) -> bool:
    """Whether a browser may call us so: else any page on the web could, by a name of its own."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name.removesuffix(".local")
    return True


class Server(ThreadingHTTPServer):
    """Listens; a browser that hangs keeps nobody from ending."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._connections: dict[socket.socket, None] = {}  # oldest first
        self._watching: set[socket.socket] = set()
        self._counting = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; when there are too many, the oldest makes room.

        A thread for each of any number of connections would be taken from the drive.
        """
        with self._counting:
            idle = [one for one in self._connections if one not in self._watching]
            if len(idle) >= MAX_CONNECTIONS:
                self._connections.pop(idle[0])
                with suppress(OSError):
                    idle[0].shutdown(socket.SHUT_RDWR)  # its thread finds it closed
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection, which counts no more."""
        with self._counting:
            self._connections.pop(request, None)
            self._watching.discard(request)
        super().shutdown_request(request)

    def keep(self, request: Any) -> None:
        """Let a connection stay that watches, for which there are seats."""
        with self._counting:
            self._watching.add(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the browser's affair."""


def create_server(settings: Settings, newest: LatestSnapshot) -> Server:
    """A server at the address told. Raises: InputError."""
    viewer = partial(Viewer, newest, threading.Semaphore(MAX_VIEWERS))
    try:
        family = socket.getaddrinfo(settings.host, settings.port)[0][0]
        kind = type("Server", (Server,), {"address_family": family})
        server: Server = kind((settings.host, settings.port), viewer)
    except (OSError, OverflowError) as error:
        why = f"cannot listen at {settings.host}: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, socket.gaierror) or error.args[0] == errno.EADDRNOTAVAIL:
            raise InputError(
                f"--view-host {settings.host}: {why}; 127.0.0.1 is for this machine alone, 0.0.0.0 "
                "for the whole network"
            ) from error
        raise InputError(f"--view {settings.port}: {why}; choose another port") from error
    return server


def publish_frames(queue: FrameQueueReader, newest: LatestSnapshot, settings: Settings) -> None:
    """All that the drive shows is the newest for a while, until the drive ends."""
    rate, space = RateMeter(), _Space(settings)
    for batch in queue.batches():
        head = msgspec.json.decode(batch[-1].head)
        frame = np.frombuffer(batch[-1].body, np.uint8).reshape(head["height"], head["width"], 3)
        picture = jpeg.encode_jpeg(frame, settings.jpeg_quality)
        for _ in batch:
            queue.release()
        moment = head["moment"]
        rate.note(moment["progress"]["written"])
        state = {
            **moment,
            "width": head["width"],
            "height": head["height"],
            "rate_hz": round(rate.hz, 1),
            "minutes_left": space.minutes_left(len(picture)),
        }
        newest.put(Snapshot(picture, msgspec.json.encode(state)))


class _Space:
    """How long the disk lasts, looked at in a thread of its own, as a disk can hang."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free_bytes: int | None = None
        self._mean_bytes = 0.0
        threading.Thread(target=self._look, name="space", daemon=True).start()

    def _look(self) -> None:
        while True:
            self._free_bytes = shutil.disk_usage(
                disk.nearest_folder(Path(self._settings.folder))
            ).free
            time.sleep(_LOOKS_EVERY_S)

    def minutes_left(self, picture_bytes: int) -> float | None:
        """The minutes, for pictures like those so far; None before the disk has answered."""
        before = self._mean_bytes or picture_bytes
        self._mean_bytes = before + (picture_bytes - before) * _WEIGHT_OF_THE_NEWEST
        if self._free_bytes is None:
            return None
        left = disk.minutes_left(
            self._free_bytes, picture_bytes=self._mean_bytes, rate_hz=self._settings.rate_hz
        )
        return round(left, 1)


def main(told: dict[str, Any]) -> int:
    """Serves one drive; told by `live_view.py` where, and from which queue."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(NICENESS)
    settings = msgspec.convert(told["settings"], Settings)
    newest = LatestSnapshot()
    try:
        server = create_server(settings, newest)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    threading.Thread(target=server.serve_forever, name="serve", daemon=True).start()
    report_ready()
    publish_frames(FrameQueueReader(QueueHandle(**told["queue"])), newest, settings)
    newest.end()
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(msgspec.json.decode(sys.argv[1])))
