"""Messages from a drive to its view server: settings, and frames with the drive's state."""

from dataclasses import dataclass

from get_data.recording.frame_queue import QueueHandle
from get_data.recording.wire import Progress


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """Settings of the view server."""

    host: str
    port: int
    folder: str
    rate_hz: float
    jpeg_quality: int


@dataclass(frozen=True, slots=True)
class ViewServerArguments:
    """The view server's command line, as JSON."""

    settings: ViewSettings
    queue: QueueHandle


@dataclass(frozen=True, slots=True)
class DriveState:
    """State of a drive for the driver; steering and throttle as sent to the motors, -1 to 1.

    `recording`: whether the drive records what the camera sees at the moment.
    """

    steering: float
    throttle: float
    state: str
    recording: bool
    progress: Progress
    speed_m_s: float | None = None


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The head of a queue item, as JSON; its body is the frame (height, width, 3) in BGR."""

    width: int
    height: int
    state: DriveState
