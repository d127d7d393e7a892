"""The process that serves the camera's pictures to browsers, and nothing else.

Started by `web_view.py`, never by hand; it exits when the drive does. A browser gets the page, the
pictures as they come (multipart/x-mixed-replace, which browsers show as a moving picture) and the
state of the drive. Each browser has a thread of its own, which sends the newest picture whenever it
is done with the last one.
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
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.child_process import report_ready
from common.errors import InputError
from get_data.live.rate_meter import RateMeter
from get_data.live.wire import FrameHeader, ViewServerArguments, ViewSettings
from get_data.recording import disk
from get_data.recording.frame_queue import FrameQueueReader
from get_data.recording.jpeg import encode_jpeg

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
}
MAX_VIEWERS = 8
MAX_CONNECTIONS = 64  # idle ones, closed oldest first to make room for others
NICENESS = 10  # driving and recording go first

_BOUNDARY = "picture"
_STALL_TIMEOUT_S = 5.0
_DISK_PERIOD_S = 5.0
_HANGUP_CHECK_PERIOD_S = 1.0  # while a browser waits for a picture
_NEWEST_WEIGHT = 0.05  # of a picture in the mean size
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:"  # the icon, which is empty
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A picture, as a JPEG file, and the state of the drive, as JSON."""

    picture: bytes
    state: bytes


class LatestSnapshot:
    """The newest snapshot, which threads can wait for."""

    def __init__(self) -> None:
        self._snapshot = Snapshot(b"", b"{}")
        self._number = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, snapshot: Snapshot) -> None:
        """Replace the newest snapshot and wake whoever waits for it."""
        with self._changed:
            self._snapshot = snapshot
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End all waiting: the drive is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Snapshot:
        """Return the newest snapshot; before the first, one without a picture."""
        with self._changed:
            return self._snapshot

    def wait_newer(self, number: int, *, timeout_s: float) -> tuple[int, Snapshot | None]:
        """Wait for a snapshot with a higher number; return the newest one and its number.

        After the timeout that is the same snapshot again; once the drive has ended, it is None.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, timeout_s)
            return self._number, None if self._closed else self._snapshot


class Viewer(BaseHTTPRequestHandler):
    """The connection of one browser."""

    protocol_version = "HTTP/1.1"
    timeout = _STALL_TIMEOUT_S

    server: "Server"

    def __init__(self, latest: LatestSnapshot, seats: threading.Semaphore, *arguments: Any) -> None:
        self._latest = latest
        self._seats = seats
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Send the page, the pictures or the state."""
        location = self.path.partition("?")[0]
        if not _is_local_name(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "use the address of the car")
        elif location in FILES:
            name, content_type = FILES[location]
            self._send((PAGE / name).read_bytes(), content_type)
        elif location == "/state":
            self._send(self._latest.get().state, "application/json")
        elif location == "/pictures":
            self._send_pictures()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, body: bytes, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self._send_headers(content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_headers(self, content_type: str) -> None:
        self.send_header("Content-Type", content_type)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")

    def _send_pictures(self) -> None:
        """Send pictures until the browser leaves or the drive ends."""
        if not self._seats.acquire(blocking=False):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_VIEWERS} are watching already")
            return
        try:
            self.close_connection = True
            self.server.keep_open(self.connection)
            self.send_response(HTTPStatus.OK)
            self._send_headers(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            sent = 0
            while not self._has_hung_up():
                number, snapshot = self._latest.wait_newer(sent, timeout_s=_HANGUP_CHECK_PERIOD_S)
                if not snapshot:
                    break
                if number > sent:
                    self._send_picture(snapshot.picture)
                    sent = number
        except OSError:  # the browser has left, or has stalled
            pass
        finally:
            self._seats.release()

    def _has_hung_up(self) -> bool:
        readable = select.select([self.connection], [], [], 0)[0]
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send_picture(self, picture: bytes) -> None:
        head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
        head += f"Content-Length: {len(picture)}\r\n\r\n"
        self.wfile.write(head.encode() + picture + b"\r\n")

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: the terminal belongs to the drive."""


def _is_local_name(host: str) -> bool:
    """Return whether a Host header is an address or a name of the local network.

    Otherwise any page on the web could reach the car by a name that resolves to it.
    """
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name.removesuffix(".local")
    return True


class Server(ThreadingHTTPServer):
    """An HTTP server with a bounded number of threads, which a hanging browser cannot block."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._connections: dict[socket.socket, None] = {}  # oldest first
        self._watching: set[socket.socket] = set()
        self._counting = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a new thread; above MAX_CONNECTIONS, close the oldest idle connection.

        Any number of threads would take the CPU from the drive.
        """
        with self._counting:
            idle = [
                connection for connection in self._connections if connection not in self._watching
            ]
            # the oldest, so that many idle connections cannot lock a new browser out
            if len(idle) >= MAX_CONNECTIONS:
                self._connections.pop(idle[0])
                with suppress(OSError):
                    idle[0].shutdown(socket.SHUT_RDWR)  # its thread finds it closed
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and stop counting it."""
        with self._counting:
            self._connections.pop(request, None)
            self._watching.discard(request)
        super().shutdown_request(request)

    def keep_open(self, request: Any) -> None:
        """Exempt a viewer's connection from being closed; viewers are limited by seats."""
        with self._counting:
            self._watching.add(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a broken connection."""


def create_server(settings: ViewSettings, latest: LatestSnapshot) -> Server:
    """Return a server that listens at the settings' host and port.

    Raises:
        InputError: it cannot listen there.
    """
    viewer = partial(Viewer, latest, threading.Semaphore(MAX_VIEWERS))
    try:
        family = socket.getaddrinfo(settings.host, settings.port)[0][0]
        server_class = type("Server", (Server,), {"address_family": family})
        server: Server = server_class((settings.host, settings.port), viewer)
    except (OSError, OverflowError) as error:
        fault = f"cannot listen at {settings.host}: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, socket.gaierror) or error.args[0] == errno.EADDRNOTAVAIL:
            raise InputError(
                f"--view-host {settings.host}: {fault}; use 127.0.0.1 for this machine alone, "
                "0.0.0.0 for the whole network"
            ) from error
        raise InputError(f"--view {settings.port}: {fault}; choose another port") from error
    return server


def publish_frames(queue: FrameQueueReader, latest: LatestSnapshot, settings: ViewSettings) -> None:
    """Publish the newest frame of each batch as a snapshot, until the drive ends."""
    rate, disk_space = RateMeter(), _DiskSpace(settings)
    for batch in queue.batches():
        # a view that lags skips frames, so it takes no more time from the drive
        newest = batch[-1]
        header = msgspec.json.decode(newest.head, type=FrameHeader)
        frame = np.frombuffer(newest.body, np.uint8).reshape(header.height, header.width, 3)
        picture = encode_jpeg(frame, settings.jpeg_quality)
        # R2: only now, as the frame is a view of the queue's memory
        for _ in batch:
            queue.release()
        rate.update(header.state.progress.written)
        state = {
            **asdict(header.state),
            "width": header.width,
            "height": header.height,
            "rate_hz": round(rate.hz, 1),
            "minutes_left": disk_space.minutes_left(len(picture)),
        }
        latest.put(Snapshot(picture, msgspec.json.encode(state)))


class _DiskSpace:
    """Free space on the disk, polled in a thread of its own because a disk can hang."""

    def __init__(self, settings: ViewSettings) -> None:
        self._settings = settings
        self._free_bytes: int | None = None
        self._mean_bytes = 0.0
        threading.Thread(target=self._poll, name="space", daemon=True).start()

    def _poll(self) -> None:
        folder = Path(self._settings.folder)
        while True:
            self._free_bytes = shutil.disk_usage(disk.nearest_folder(folder)).free
            time.sleep(_DISK_PERIOD_S)

    def minutes_left(self, picture_bytes: int) -> float | None:
        """Return the minutes left at the mean picture size; None until the disk has answered."""
        mean = self._mean_bytes or picture_bytes
        self._mean_bytes = mean + (picture_bytes - mean) * _NEWEST_WEIGHT
        if self._free_bytes is None:
            return None
        left = disk.minutes_left(
            self._free_bytes, picture_bytes=self._mean_bytes, rate_hz=self._settings.rate_hz
        )
        return round(left, 1)


def main(argument: str) -> int:
    """Serve one drive, described by ViewServerArguments as JSON; return the exit code."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(NICENESS)
    arguments = msgspec.json.decode(argument, type=ViewServerArguments)
    latest = LatestSnapshot()
    try:
        server = create_server(arguments.settings, latest)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    threading.Thread(target=server.serve_forever, name="serve", daemon=True).start()
    report_ready()
    publish_frames(FrameQueueReader(arguments.queue), latest, arguments.settings)
    latest.close()
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
