"""The drive's end of the live view: what the camera sees, in a browser.

    with LiveView(host="127.0.0.1", port=8080, ...) as view:
        view.show(frame, state)

Frames and states go through a queue of two to a process that serves the browsers. `show` never
blocks: when that process is slow, frames are dropped.
"""

import ipaddress
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.child_process import ChildFailed, start_process
from common.errors import InputError
from get_data.live.wire import DriveState, FrameHeader, ViewServerArguments, ViewSettings
from get_data.recording.frame_queue import FrameQueue

MAX_RATE_HZ = 15.0

_SLOTS = 2
_HEADER_BYTES = 1000
_EXIT_TIMEOUT_S = 3.0


def view_url(host: str, port: int) -> str:
    """Return the address for browsers; a host that means all interfaces becomes the car's name."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}/"
    if ip.is_unspecified:
        return f"http://{socket.gethostname().partition('.')[0]}.local:{port}/"
    return f"http://[{ip}]:{port}/" if ip.version == 6 else f"http://{ip}:{port}/"


class LiveView:
    """A live view served at `http://host:port/`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        folder: Path,
        resolution: tuple[int, int],
        rate_hz: float,
        jpeg_quality: int,
    ) -> None:
        """Start the server; `resolution` is the largest frame's (width, height) in pixels.

        Raises:
            InputError: the server cannot listen at host and port.
        """
        self._max_frame_bytes = resolution[0] * resolution[1] * 3
        self._queue = FrameQueue(slots=_SLOTS, item_bytes=_HEADER_BYTES + self._max_frame_bytes)
        self._next_s = 0.0
        handle = self._queue.handle
        settings = ViewSettings(host, port, str(folder.absolute()), rate_hz, jpeg_quality)
        try:
            self._server = start_process(
                "get_data.live.view_server",
                msgspec.json.encode(ViewServerArguments(settings, handle)).decode(),
                name=f"the view server at port {port}",
                inherited_fds=(handle.memory_fd, handle.pipe_fd),
            )
        except ChildFailed as error:
            self._queue.close()
            raise InputError(str(error)) from error
        finally:
            self._queue.release_handle()

    def show(self, frame: NDArray[np.uint8], state: DriveState) -> None:
        """Show a frame (height, width, 3) in BGR and the state of the drive.

        Drops a frame that is larger than `resolution`, and frames above MAX_RATE_HZ.
        """
        now_s = time.monotonic()
        if now_s < self._next_s or frame.nbytes > self._max_frame_bytes:
            return
        self._next_s = now_s + 1 / MAX_RATE_HZ
        height, width = frame.shape[:2]
        header = msgspec.json.encode(FrameHeader(width, height, state))
        self._queue.put(header, np.ascontiguousarray(frame).data.cast("B"))

    def close(self) -> None:
        """Stop the server. May be called twice."""
        if self._server.returncode is not None:
            return
        self._queue.close()
        try:
            self._server.communicate(timeout=_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._server.send_signal(signal.SIGKILL)
            self._server.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
