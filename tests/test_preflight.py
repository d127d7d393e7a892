"""What is looked at before a drive: each check a line, and one that fails keeps the car still."""

import errno
import json
import os
import re
import shutil
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import path
from car import hardware_conf, pi_checks
from car.assembly import RealCar
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


PI_5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
    "etc/rpi-issue": "Raspberry Pi reference 2026-06-18\n",
    "lib/modules/6.12.62+rpt-rpi-2712/modules.dep": "",
    "lib/modules/6.12.62+rpt-rpi-v8/modules.dep": "",
}
XONE = {"var/lib/dkms/xone/0.5.8/source": ""}
XONE_BUILT = {"lib/modules/6.12.62+rpt-rpi-2712/updates/dkms/xone_gip.ko.xz": ""}


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """Plays the system of a Pi 5: files (None: missing), its kernel, and Python's environment."""

    def play(files=(), *, kernel="6.12.62+rpt-rpi-2712", venv="true", bits=64):
        for name, text in (PI_5 | dict(files)).items():
            if text is not None:
                file = tmp_path / "pi" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {venv}\n")
        monkeypatch.setattr(pi_checks, "_ROOT", tmp_path / "pi")
        monkeypatch.setattr(pi_checks.sys, "prefix", str(tmp_path))
        monkeypatch.setattr(pi_checks.sys, "maxsize", 2 ** (bits - 1) - 1)
        monkeypatch.setattr(pi_checks, "uname", lambda: SimpleNamespace(release=kernel))

    return play


@pytest.mark.parametrize(
    ("played", "todo"),
    [
        ({}, ""),
        ({"bits": 32}, r"Raspberry Pi OS \(64-bit\)"),
        ({"files": {"etc/rpi-issue": None}}, "python3-picamera2"),
        ({"venv": "false"}, "python3 -m venv --system-site-packages .venv"),
    ],
    ids=["as documented", "32 bit", "another system", ".venv without the system's packages"],
)
def test_the_system_of_a_pi_is_told_with_what_it_lacks(pi, played, todo):
    pi(**played)
    found = pi_checks.check_system()
    assert "Raspberry Pi 5 Model B Rev 1.0, Debian GNU/Linux 13 (trixie)" in found.message
    assert re.search(todo, found.note)
    assert bool(found.note) == bool(todo)


@pytest.mark.parametrize(
    ("files", "kernel", "todo"),
    [
        ({}, "6.12.62+rpt-rpi-2712", ""),
        ({}, "6.12.47+rpt-rpi-2712", "replaced by an upgrade: sudo reboot"),
        (
            {"lib/modules/6.12.100+rpt-rpi-2712/modules.dep": ""},
            "6.12.62+rpt-rpi-2712",
            r"installed 6\.12\.100\+rpt-rpi-2712: sudo reboot",
        ),
        # of the Pi 4, on the same card
        ({"lib/modules/6.18.1+rpt-rpi-v8/modules.dep": ""}, "6.12.62+rpt-rpi-2712", ""),
        (XONE | XONE_BUILT, "6.12.62+rpt-rpi-2712", ""),
        (XONE, "6.12.62+rpt-rpi-2712", "linux-headers-rpi-2712.* sudo dkms autoinstall"),
    ],
    ids=["newest", "upgraded", "waiting for a reboot", "of another Pi", "xone", "xone not built"],
)
def test_a_kernel_that_waits_for_a_reboot_or_lacks_xone_is_told(pi, files, kernel, todo):
    pi(files, kernel=kernel)
    found = pi_checks.check_kernel()
    assert found.message == kernel
    assert re.search(todo, found.note)
    assert bool(found.note) == bool(todo)


@pytest.mark.parametrize("model", [None, "Radxa ROCK 5B"])
def test_a_machine_that_is_no_pi_has_no_system_to_check(pi, model):
    pi({"proc/device-tree/model": model})
    for check in (pi_checks.check_system, pi_checks.check_kernel):
        with pytest.raises(CheckUnknown, match="not a Raspberry Pi"):
            check()


@pytest.mark.parametrize(
    ("answer", "said", "has_todo"),
    [
        ("10s", "hang for 10 s", False),
        ("1min", "hang for 60 s", True),  # Raspberry Pi OS trixie, by itself
        ("1min 30s", "hang for 90 s", True),
        ("0", "none", True),  # bookworm
        ("infinity", "none", True),
    ],
)
def test_a_watchdog_that_is_late_or_missing_is_told(program, answer, said, has_todo):
    program("systemctl", answer)
    found = pi_checks.check_watchdog()
    assert said in found.message
    assert ("RuntimeWatchdogSec=10" in found.note) == has_todo
    assert bool(found.note) == has_todo


HEADPHONES = " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
HDMI = " 1 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n"


def test_analogue_audio_beside_the_hardware_pwm_keeps_the_car_still(pi):
    pi({"proc/asound/cards": HDMI + HEADPHONES})
    with pytest.raises(NotReady, match=r"dtparam=audio=off in /boot/firmware/config\.txt"):
        pi_checks.check_audio()


@pytest.mark.parametrize("cards", [None, HDMI])
def test_sound_by_hdmi_does_not_disturb_the_hardware_pwm(pi, cards):
    pi({"proc/asound/cards": cards})
    assert not pi_checks.check_audio().note


GPIO_CHECKS = ["system", "kernel", "clock", "supply"]


@pytest.mark.parametrize(
    ("motors", "further"),
    [
        ({"driver": "gpio"}, []),
        ({"driver": "pwm"}, ["pins", "audio"]),
        ({"driver": "pwm", "throttle_driver": "pwm"}, ["pins", "audio", "watchdog"]),
        ({"driver": "pca9685"}, ["watchdog"]),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_a_car_is_checked_for_what_its_motors_need(tmp_path, motors, further):
    content = json.loads(path.HARDWARE_CONF.read_text())
    channels = {"pca9685": (1, 0)}.get(motors["driver"], (18, 13))
    for part, channel in zip(("steering", "throttle"), channels, strict=True):
        content["motors"][part]["channel"] = channel
    both = {key: content["motors"][key] for key in ("steering", "throttle")}
    file = tmp_path / "hardware_conf.json"
    file.write_text(json.dumps(content | {"motors": both | motors}))
    car = RealCar(hardware_conf.read(file), width_px=160, height_px=120, rate_hz=20)
    assert [name for name, _ in car.checks()] == GPIO_CHECKS + further


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
    with pytest.raises(NotReady, match=r"GPIO 13 is .* dtoverlay=pwm-2chan.*\[all\]"):
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
        ("systemctl", "", 0),
        ("systemctl", "10s", 1),
        ("systemctl", "[not set]", 0),
        ("pinctrl", "", 0),
        ("pinctrl", "18: a3    pd | lo // GPIO18 = PWM0_CHAN2", 1),
        ("other", "yes", 0),
    ],
)
def test_what_no_program_tells_is_not_guessed(program, name, answer, code):
    program(name, answer, code)
    pins = pi_checks.pwm_pins_check([18])
    for check in (
        *(pi_checks.check_clock, pi_checks.check_supply, pi_checks.check_watchdog),
        pins,
    ):
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
