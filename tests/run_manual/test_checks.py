"""The checks before a drive, and `--check` alone."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from car import assembly
from car.interfaces import Frame
from common.errors import CameraFailed
from get_data import run_manual
from tests.fakes import fake_camera
from tests.pi.car import CONF, prepare_drive
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS
from tests.run_manual.drives import SCRIPT


def test_a_check_needs_no_folder(tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(run_manual, "--simulate", "--check")
    assert (code, out) == (0, None)
    assert [line.split()[0] for line in err.splitlines()] == ["motors"]
    code, _, err = call(run_manual, "--check")
    assert code == 1
    names = [line.split()[0] for line in err.splitlines()[:-1]]
    assert {"pad", "camera", "clock", "supply"} <= set(names)
    assert not {"space", "disk"} & set(names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_machine_that_is_no_car_fails_check_by_check_and_nothing_is_created(tmp_path, option):
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "drive"), *option],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    lines = process.stderr.splitlines()
    assert re.match("  pad +FAILED  no pad is connected: plug one in", lines[0])
    assert re.match("  camera +FAILED  picamera2 cannot be used: .*sudo apt install", lines[1])
    assert re.match("  disk +ok +a picture is safe after", lines[-2])
    assert re.match("  space +unknown ", lines[-3])
    assert lines[-1] == "error: not ready to drive: pad, camera; nothing has moved"
    assert list(tmp_path.iterdir()) == []


class StalledCamera:
    """A camera that stalls once the property `stalls_at` is read."""

    missed = 0

    def __init__(self, stalls_at):
        self.stalls_at, self.stalled = stalls_at, False

    def answer(self, name, value):
        self.stalled |= name == self.stalls_at
        if self.stalled:
            raise CameraFailed("no picture comes")
        return value

    def measure_rate_hz(self, _duration_s):
        return self.answer("rate", 20.0)

    def check_colours(self):
        return self.answer("colours", "red is red")

    def describe(self):
        return "a camera"

    def advice(self):
        return ""

    def capture(self):
        return self.answer("picture", Frame(np.zeros((120, 160, 3), np.uint8), 0.0))

    def close(self):
        pass


@pytest.mark.parametrize(
    ("stalls_at", "failed"),
    [("", []), ("rate", ["camera"]), ("colours", ["camera"]), ("picture", ["space"])],
)
def test_a_stalled_camera_fails_one_check(tmp_path, call, monkeypatch, stalls_at, failed):
    monkeypatch.setattr(assembly, "open_camera", lambda *_, **__: StalledCamera(stalls_at))
    code, _, err = call(run_manual, "-o", tmp_path / "drive", "--check")
    assert code == 1  # there is no pad
    rows = re.findall("(?m)^  (camera|space) +(ok|FAILED|unknown)", err)
    assert [name for name, found in rows if found == "FAILED"] == failed
    assert ("space", "unknown") in rows or "camera" not in failed


def test_a_resolution_that_crops_the_view_is_noted_with_one_that_does_not(tmp_path):
    camera = fake_camera.connect_camera(tmp_path)
    camera.behave("model=imx708")
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "drive"), "--check"],
        env=os.environ | camera.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "75% of its width and 100% of its height" in process.stderr
    assert (
        "\n           note    --resolution 160x90 shows all that this sensor mode sees"
        in process.stderr
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "measured_us", "longer_us", "is_advised"),
    [
        (BY_REGISTERS, None, "59", False),
        (BY_REGISTERS, 12.5, "12.5", False),
        (BY_GPIOCHIP, None, "", False),
        (BY_GPIOCHIP, 12.5, "12.5", False),
        (BY_GPIOCHIP, 59, "59", True),  # RPi.GPIO's
    ],
    ids=str,
)
def test_a_check_names_the_library_that_times_the_pulses_and_its_correction(
    tmp_path, library, measured_us, longer_us, is_advised
):
    conf = CONF | {"motors": CONF["motors"] | {"longer_by_us": measured_us}}
    setup = prepare_drive(tmp_path, "--check", "--rate", "10", conf=conf, library=library)
    with setup.rig.plug_in():
        process = setup.start()
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    names = [line.strip().partition(" ")[0] for line in stderr.splitlines()]
    motors, *notes = stderr.splitlines()[names.index("motors") :]
    assert f"{library.name} {library.version}" in motors
    assert re.findall(r"([\d.]+) us\b", motors) == ([longer_us] if longer_us else [])
    assert any("hardware_conf.json" in note for note in notes) is is_advised


def test_a_missing_pad_cannot_be_checked(call):
    code, out, err = call(run_manual, "--check-pad")
    assert (code, out) == (1, None)
    assert err.startswith("error: no pad is connected: plug one in")


@pytest.mark.slow
def test_a_simulated_car_is_checked_only_on_demand(tmp_path, call):
    code, out, err = call(run_manual, "-o", tmp_path / "drive", "--simulate", "--check")
    assert (code, out) == (0, None)
    names = [line.split()[0] for line in err.splitlines()]
    assert names == ["space", "disk", "motors"]
    assert not (tmp_path / "drive").exists()
    code, _, err = call(run_manual, "-o", tmp_path / "drive", "--simulate", "--duration", "0.2")
    assert code == 0
    assert " ok " not in err
