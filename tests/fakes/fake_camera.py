"""A camera that is not there, for this process or for one that a test starts."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

FAKES = Path(__file__).with_name("libraries")


@dataclass(frozen=True)
class FakeCamera:
    """How the camera of tests/fakes/libraries/picamera2.py behaves from now on."""

    control: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a process that finds this camera as the package picamera2."""
        return {"PYTHONPATH": str(FAKES), "FAKE_CAMERA": str(self.control)}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """This process finds the camera, until the test ends; returns the package."""
        forget_picamera2(monkeypatch)
        monkeypatch.syspath_prepend(FAKES)
        monkeypatch.setenv("FAKE_CAMERA", str(self.control))
        return importlib.import_module("picamera2")

    def behaves(self, *words: str) -> None:
        """Such as "stall" or "model=imx708", in place of all that was said before."""
        draft = self.control.with_suffix(".draft")
        draft.write_text(" ".join(words))
        draft.replace(self.control)


def forget_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next import looks again, until the test ends and after it."""
    for name in ("picamera2", "libcamera"):
        monkeypatch.setitem(sys.modules, name, None)  # so that what is imported goes as well
        del sys.modules[name]


def connected(folder: Path) -> FakeCamera:
    """A camera that works, controlled by a file in that folder."""
    camera = FakeCamera(folder / "fake_camera")
    camera.behaves()
    return camera
