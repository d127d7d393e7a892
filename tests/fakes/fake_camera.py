"""Control of the fake camera, for this process or for one that a test starts."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

FAKES = Path(__file__).with_name("libraries")


@dataclass(frozen=True)
class FakeCamera:
    """The camera of tests/fakes/libraries/picamera2.py and the file that controls it."""

    control: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a process that imports this camera as picamera2."""
        return {"PYTHONPATH": str(FAKES), "FAKE_CAMERA": str(self.control)}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """Install the camera in this process until the test ends; return the package."""
        unload_picamera2(monkeypatch)
        monkeypatch.syspath_prepend(FAKES)
        monkeypatch.setenv("FAKE_CAMERA", str(self.control))
        return importlib.import_module("picamera2")

    def behave(self, *words: str) -> None:
        """Replace the camera's behaviour by words such as "stall" or "model=imx708"."""
        draft = self.control.with_suffix(".draft")
        draft.write_text(" ".join(words))
        draft.replace(self.control)


def unload_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unload the package, so that the next import searches the path again."""
    for name in ("picamera2", "libcamera"):
        monkeypatch.setitem(sys.modules, name, None)  # undone, whatever is imported meanwhile
        del sys.modules[name]


def connect_camera(folder: Path) -> FakeCamera:
    """Create a working camera, controlled by a file in the folder."""
    camera = FakeCamera(folder / "fake_camera")
    camera.behave()
    return camera
