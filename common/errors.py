"""What the toolkit raises, and the exit code that each failure ends a script with.

    ToolkitError            1   the run failed
    ├── InputError          2   an option, a file or a variable is wrong; nothing was changed
    ├── Declined            1   the answer at a prompt was no, or there was nobody to ask
    ├── CameraFailed        1   no picture came from the camera
    ├── PadLost             1   the pad is gone
    ├── MotorsFailed        1   the wheels cannot be moved; what could stop the car was done
    ├── NotReady            1   a check before the drive failed; nothing has moved
    ├── WriteFailed         1   a file could not be written; what stood there is as it was
    ├── RecordingFailed     1   pictures could not be written
    ├── StillRecording      1   the folder is being recorded into right now
    └── DatabaseError       1   the label index or the picture store failed
        ├── PictureMissing     1   the store holds no picture of that name
        └── PictureUnreadable  1   the store has it, and cannot give it

A message names the thing, the place and the remedy. One failed item of many is a value, not an
exception; a failed run is an exception.
"""


class ToolkitError(Exception):
    """The run failed; the message is the one line that the user reads."""

    exit_code = 1


class InputError(ToolkitError):
    """What the user gave cannot be used; found before anything was changed."""

    exit_code = 2


class Declined(ToolkitError):
    """The user said no, or nobody was there to say yes."""


class CameraFailed(ToolkitError):
    """No picture came from the camera."""


class PadLost(ToolkitError):
    """The pad is gone."""


class MotorsFailed(ToolkitError):
    """The wheels cannot be moved; whatever could still be done to stop the car was done."""


class NotReady(ToolkitError):
    """A check before the drive failed; nothing has moved."""


class WriteFailed(ToolkitError):
    """A file could not be written; what stood there is as it was."""


class RecordingFailed(ToolkitError):
    """Pictures could not be written."""


class StillRecording(ToolkitError):
    """Another process is recording into the folder."""


class DatabaseError(ToolkitError):
    """The label index or the picture store failed."""


class PictureMissing(DatabaseError):
    """The store holds no picture of that name."""


class PictureUnreadable(DatabaseError):
    """The store has a picture that it cannot give; the others it may."""
