"""What the camera sees, in a browser: the drive's end, which never waits for anybody.

    with LiveView(host="127.0.0.1", port=8080, ...) as view:
        view.show(frame, moment)

Pictures and state go through a queue of two to a process that serves the browsers; when that is
slow, pictures are left out.
"""

import ipaddress
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from common import child_process
from common.child_process import ChildFailed
from common.errors import InputError
from get_data.live.terminal import DriveState
from get_data.recording.frame_queue import FrameQueue

MAX_RATE_HZ = 15.0

_SLOTS = 2
_MOMENT_BYTES = 1000
_ENDS_WITHIN_S = 3.0


def view_url(host: str, port: int) -> str:
    """Where a browser finds what is served at `host`, which may stand for the whole network."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}/"
    if ip.is_unspecified:
        return f"http://{socket.gethostname().partition('.')[0]}.local:{port}/"
    return f"http://[{ip}]:{port}/" if ip.version == 6 else f"http://{ip}:{port}/"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the serving process is told."""

    host: str
    port: int
    folder: str
    rate_hz: float
    jpeg_quality: int


class LiveView:
    """Serves what it is shown at `http://host:port/`."""

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
        """Browsers can connect. `resolution` is (width, height) in pixels.

        Raises: InputError when nobody can listen there.
        """
        self._most_bytes = resolution[0] * resolution[1] * 3
        self._queue = FrameQueue(slots=_SLOTS, item_bytes=_MOMENT_BYTES + self._most_bytes)
        self._next_s = 0.0
        handle = self._queue.handle
        settings = Settings(host, port, str(folder.absolute()), rate_hz, jpeg_quality)
        told = msgspec.json.encode({"settings": asdict(settings), "queue": asdict(handle)})
        try:
            self._server = child_process.start_process(
                "get_data.live.view_server",
                told.decode(),
                name=f"what serves port {port}",
                inherited_fds=(handle.memory_fd, handle.pipe_fd),
            )
        except ChildFailed as error:
            self._queue.close()
            raise InputError(str(error)) from error
        finally:
            self._queue.release_handle()

    def show(self, frame: NDArray[np.uint8], moment: DriveState) -> None:
        """The browsers get the frame (height, width, 3), blue green red, if they are fast enough.

        A frame that is larger than was told, or that comes too soon, is left out.
        """
        now_s = time.monotonic()
        if now_s < self._next_s or frame.nbytes > self._most_bytes:
            return
        self._next_s = now_s + 1 / MAX_RATE_HZ
        height, width = frame.shape[:2]
        head = msgspec.json.encode({"width": width, "height": height, "moment": asdict(moment)})
        self._queue.put(head, np.ascontiguousarray(frame).data.cast("B"))

    def close(self) -> None:
        """Nothing is served any more, and the process has ended. May be called twice."""
        if self._server.returncode is not None:
            return
        self._queue.close()
        try:
            self._server.communicate(timeout=_ENDS_WITHIN_S)
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
