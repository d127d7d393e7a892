"""Exceptions of the toolkit, each with the exit code of a script that it ends.

    ToolkitError            1   the run failed
    ├── InputError          2   an option, a file or a variable is wrong; nothing was changed
    ├── Declined            1   the user answered no, or there was no terminal to ask on
    ├── CameraFailed        1   the camera delivers no pictures
    ├── PadLost             1   the pad was disconnected
    ├── PilotFailed         1   the model that drove failed; the car was stopped
    ├── MotorsFailed        1   the motors cannot be controlled; the car was stopped if possible
    ├── NotReady            1   a check before the drive failed; nothing has moved
    ├── WriteFailed         1   a file could not be written; any previous version is untouched
    ├── RecordingFailed     1   pictures could not be written
    ├── StillRecording      1   another process is recording into the folder
    └── DatabaseError       1   the label index or the picture store failed
        ├── PictureMissing     1   the store has no picture with this key
        ├── PictureUnreadable  1   the store has the picture but cannot read it
        ├── SetMissing         1   the store has no frozen set of this name
        └── SetDamaged         1   a frozen set is not what was frozen

A message names the thing, the place and the remedy. A failed run is an exception; one failed item
of many is a value.
"""


class ToolkitError(Exception):
    """A failed run; the message is the one line that the user reads."""

    exit_code = 1


class InputError(ToolkitError):
    """An unusable option, file or variable, found before anything was changed."""

    exit_code = 2


class Declined(ToolkitError):
    """A question that was answered with no, or that could not be asked."""


class CameraFailed(ToolkitError):
    """A camera that delivers no pictures."""


class PadLost(ToolkitError):
    """A pad that was disconnected and did not come back."""


class PilotFailed(ToolkitError):
    """A model that failed while it drove; the car was stopped."""


class MotorsFailed(ToolkitError):
    """Motors that cannot be controlled; the car was stopped if that was still possible."""


class NotReady(ToolkitError):
    """A failed check before the drive; nothing has moved."""


class WriteFailed(ToolkitError):
    """A file that could not be written; any previous version is untouched."""


class RecordingFailed(ToolkitError):
    """Pictures that could not be written."""


class StillRecording(ToolkitError):
    """A folder that another process is recording into."""


class DatabaseError(ToolkitError):
    """A failed request to the label index or the picture store."""


class PictureMissing(DatabaseError):
    """A picture that the store does not have."""


class PictureUnreadable(DatabaseError):
    """A picture that the store has but cannot read; others may still be readable."""


class SetMissing(DatabaseError):
    """A frozen set that the store does not have."""


class SetDamaged(DatabaseError):
    """A frozen set that is incomplete, or not what was frozen."""
