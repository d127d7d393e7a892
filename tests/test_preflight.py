"""What is looked at before a drive: each check a line, and one that fails keeps the car still."""

import errno
import os
import re
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from car import pi_checks
from common.errors import CameraFailed, NotReady, RecordingFailed
from common.preflight import CheckResult, CheckUnknown, Preflight
from get_data.recording import disk, jpeg
from tests.helpers import faults


def said_by(*checks):
    lines = []
    run(checks, lines)
    return lines


def run(checks, lines):
    preflight = Preflight(lines.append)
    for name, check in checks:
        preflight.check(name, check)
    preflight.require_all()


def test_each_check_is_a_line_and_what_had_better_be_done_another():
    lines = said_by(
        ("pad", lambda: CheckResult("Xbox pad")),
        ("clock", lambda: CheckResult("not set", "wait for it")),
    )
    assert lines == [
        "  pad      ok      Xbox pad",
        "  clock    ok      not set",
        "           note    wait for it",
    ]


def test_all_that_fails_is_said_before_the_car_counts_as_not_ready():
    def broken():
        raise CameraFailed("no camera: plug it in")

    lines = []
    with pytest.raises(NotReady, match="not ready to drive: camera, other; nothing has moved"):
        run([("camera", broken), ("pad", lambda: CheckResult("fine")), ("other", broken)], lines)
    assert lines == [
        "  camera   FAILED  no camera: plug it in",
        "  pad      ok      fine",
        "  other    FAILED  no camera: plug it in",
    ]


def test_what_cannot_be_told_is_neither_ok_nor_a_failure():
    def tells_nothing():
        raise CheckUnknown("no camera to ask")

    def broken():
        raise CameraFailed("no camera: plug it in")

    assert said_by(("space", tells_nothing)) == ["  space    unknown no camera to ask"]
    with pytest.raises(NotReady, match="not ready to drive: camera; nothing has moved"):
        said_by(("camera", broken), ("space", tells_nothing))


class Part:
    """Part of a car that records what is done with it."""

    def __init__(self, error=None, finding=None):
        self.error, self.finding, self.done = error, finding, []

    def open(self):
        self.done.append("open")
        if self.error:
            raise self.error
        return self

    def check(self, part):
        assert part is self
        self.done.append("check")
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding


def test_a_part_is_opened_and_then_checked_and_reported_in_one_line():
    lines = []
    preflight, camera = Preflight(lines.append), Part(finding=CheckResult("imx219"))
    opened = preflight.open("camera", camera.open, camera.check)
    preflight.require_all()
    assert (opened.is_ready, opened.part) == (True, camera)
    assert camera.done == ["open", "check"]
    assert lines == ["  camera   ok      imx219"]


def test_a_check_without_a_finding_is_not_reported():
    lines = []
    part = Part()
    assert Preflight(lines.append).open("pad", part.open, part.check).part is part
    assert lines == []


@pytest.mark.parametrize(
    ("part", "done"),
    [
        (Part(error=CameraFailed("no camera")), ["open"]),
        (Part(finding=CameraFailed("no camera")), ["open", "check"]),
    ],
    ids=["cannot be opened", "fails its check"],
)
def test_a_part_that_failed_is_not_used(part, done):
    lines = []
    preflight = Preflight(lines.append)
    opened = preflight.open("camera", part.open, part.check)
    assert (opened.is_ready, part.done) == (False, done)
    assert lines == ["  camera   FAILED  no camera"]
    with pytest.raises(NotReady, match="camera"):
        opened.part  # noqa: B018
    with pytest.raises(NotReady, match="camera; nothing has moved"):
        preflight.require_all()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of that name, and no other, into PATH; it prints these words."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, words, code=0):
        file = folder / name
        file.write_text(f"#!/bin/sh\necho '{words}'\nexit {code}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return put


@pytest.mark.parametrize(
    ("answer", "said", "todo"),
    [
        ("yes", "set by the network", ""),
        ("no", "not set by the network yet", "sudo timedatectl set-ntp true"),
    ],
)
def test_the_clock_is_told(program, answer, said, todo):
    program("timedatectl", answer)
    found = pi_checks.check_clock()
    assert found.message == said
    assert todo in found.note
    assert bool(found.note) == bool(todo)


@pytest.mark.parametrize(
    ("answer", "said", "todo"),
    [
        ("throttled=0x0", "enough", ""),
        ("throttled=0x4", "too hot", "let it cool"),
        ("throttled=0x50000", "not always since the boot", "motors"),
        ("throttled=0x40000", "not always since the boot", "motors"),
        ("throttled=0x8", "enough", ""),  # a soft limit of the temperature, not of the supply
    ],
)
def test_the_supply_is_told(program, answer, said, todo):
    program("vcgencmd", answer)
    found = pi_checks.check_supply()
    assert said in found.message
    assert todo in found.note
    assert bool(found.note) == bool(todo)


def test_a_pi_with_too_little_power_does_not_drive(program):
    program("vcgencmd", "throttled=0x50005")
    with pytest.raises(NotReady, match=r"under-voltage: .* 5 V"):
        pi_checks.check_supply()


PINS = """\
18: a3    pd | lo // GPIO18 = PWM0_CHAN2
13: {function}
"""


def test_pins_of_the_hardware_pwm_are_told(program):
    program("pinctrl", PINS.format(function="a0    pd | lo // GPIO13 = PWM0_CHAN1"))
    found = pi_checks.pwm_pins_check([18, 13])()
    assert "GPIO 13 is PWM0_CHAN1" in found.message


@pytest.mark.parametrize("function", ["op -- pd | lo // GPIO13 = output", "no    pd | -- // none"])
def test_a_pin_without_the_hardware_pwm_is_told_with_the_line_that_connects_it(program, function):
    program("pinctrl", PINS.format(function=function))
    with pytest.raises(NotReady, match=r"GPIO 13 is .* dtoverlay=pwm-2chan"):
        pi_checks.pwm_pins_check([18, 13])()


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        ("timedatectl", "", 0),
        ("timedatectl", "yes", 1),
        ("vcgencmd", "VCHI initialization failed", 0),
        ("vcgencmd", "throttled=", 0),
        ("vcgencmd", "throttled=error", 0),
        ("vcgencmd", "throttled=0x1", 1),
        ("pinctrl", "", 0),
        ("pinctrl", "18: a3    pd | lo // GPIO18 = PWM0_CHAN2", 1),
        ("other", "yes", 0),
    ],
)
def test_what_no_program_tells_is_not_guessed(program, name, answer, code):
    program(name, answer, code)
    pins = pi_checks.pwm_pins_check([18])
    for check in (pi_checks.check_clock, pi_checks.check_supply, pins):
        with pytest.raises(CheckUnknown):
            check()


def test_a_program_that_hangs_is_not_waited_for(program, monkeypatch):
    monkeypatch.setattr(pi_checks, "_TIMEOUT_S", 0.2)
    program("timedatectl", "yes")
    Path(shutil.which("timedatectl")).write_text("#!/bin/sh\nexec /bin/sleep 9999\n")
    with pytest.raises(CheckUnknown):
        pi_checks.check_clock()


GIGABYTE = 10**9


@pytest.fixture
def free(monkeypatch):
    """Sets how much the disk has free."""

    def set_to(free_bytes):
        usage = shutil._ntuple_diskusage(free_bytes, 0, free_bytes)
        monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)

    return set_to


def test_the_minutes_left_count_blocks_labels_and_the_room_that_stays(free):
    # 6,700 bytes take two blocks of 4,096; with a label of 1,500 that is 9,692 bytes
    pictures = 800_000_000 / 9_692
    left = disk.minutes_left(GIGABYTE, picture_bytes=6_700, rate_hz=20)
    assert left == pytest.approx(pictures / 20 / 60)
    assert disk.minutes_left(disk.MIN_FREE_BYTES, picture_bytes=6_700, rate_hz=20) == 0


def test_the_disk_is_told_in_minutes(tmp_path, free):
    free(10 * GIGABYTE)
    found = disk.check_space(tmp_path / "not" / "there" / "yet", picture_bytes=6_700, rate_hz=20)
    assert found == CheckResult("10.0 GB free, 843 minutes at 20 Hz")
    free(GIGABYTE // 4)
    assert (
        disk.check_space(tmp_path, picture_bytes=6_700, rate_hz=20).note
        == "free_space.py removes what is uploaded"
    )


def test_a_disk_that_is_nearly_full_is_not_ready(tmp_path, free):
    free(disk.MIN_FREE_BYTES)
    with pytest.raises(RecordingFailed, match=r"0\.2 GB free, and recording leaves 0\.2 GB"):
        disk.check_space(tmp_path, picture_bytes=6_700, rate_hz=20)


def test_the_time_that_a_picture_takes_is_measured_and_nothing_is_left(tmp_path, monkeypatch):
    delays_s = iter([0.0, 0.03] * disk.PICTURES_TRIED)
    real = os.fsync

    def slow(descriptor):
        real(descriptor)
        time.sleep(next(delays_s))

    monkeypatch.setattr(os, "fsync", slow)
    found = disk.check_latency(tmp_path / "drive")
    middle_ms, most_ms = map(int, re.findall(r"\d+", found.message))
    assert most_ms >= 30
    assert middle_ms <= most_ms
    assert not found.note
    assert list(tmp_path.iterdir()) == []


def test_a_slow_card_is_noted_and_one_slower_than_the_queue_is_not_ready(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "SLOW_S", 0.0)
    assert disk.check_latency(tmp_path).note == "a faster card drops no pictures"
    monkeypatch.setattr(disk, "QUEUE_S", 0.0)
    with pytest.raises(RecordingFailed, match="slower than recording can wait; use another card"):
        disk.check_latency(tmp_path)


def test_a_disk_that_cannot_sync_one_file_can_be_recorded_to(tmp_path, monkeypatch):
    """Old CIFS, some FUSE: recording itself syncs all of them there."""
    faults.failing(monkeypatch.setattr, "fsync", errno.EINVAL)
    assert "is safe after" in disk.check_latency(tmp_path).message


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordingFailed, match="cannot be written to: No space left on device"):
        disk.check_latency(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_a_jpeg_file_and_what_is_none_is_refused():
    frame = np.zeros((12, 16, 3), np.uint8)
    assert jpeg.encode_jpeg(frame, 90).startswith(b"\xff\xd8")
    assert len(jpeg.encode_jpeg(frame, 10)) <= len(jpeg.encode_jpeg(frame, 90))
