"""`make onpi`: the report of a real Pi, on a desk and on a played one."""

import getpass
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import path
from tests.on_pi import __main__ as on_pi
from tests.on_pi import loopback, machine, outcomes
from tests.pi import car as cars
from tests.pi import pad as pads
from tests.pi.pad import KINDS


def run(file, *options, prefix=(), env=None):
    """Run the script as a process; return its exit code, its lines and its report."""
    command = [*prefix, sys.executable, "-m", "tests.on_pi", "-o", str(file), *options]
    done = subprocess.run(
        command, cwd=path.ROOT, env=env, capture_output=True, text=True, check=False
    )
    report = json.loads(file.read_text()) if file.exists() else None
    return done.returncode, done.stderr.splitlines(), report


@pytest.mark.slow
def test_on_a_desk_the_report_names_what_is_missing_and_has_the_rest(tmp_path):
    code, lines, report = run(tmp_path / "report.json", "--seconds", "1")
    assert code == 3
    statuses = {name: part["status"] for name, part in report["parts"].items()}
    assert list(statuses) == list(on_pi.PARTS)
    assert [statuses[name] for name in ("machine", "pad", "camera")] == ["missing"] * 3
    assert [statuses[name] for name in ("disk", "drive", "pulses")] == ["ok", "ok", "skipped"]
    assert "plug one in" in report["parts"]["pad"]["reason"]
    assert "sudo apt install python3-picamera2" in report["parts"]["libraries"]["reason"]
    assert "--loopback" in report["parts"]["pulses"]["reason"]
    assert "pad, camera" in report["parts"]["check"]["reason"]
    drive = report["parts"]["drive"]["facts"]
    assert drive["report"]["pictures"] > 0
    assert drive["cpu_s"] > 0
    assert report["parts"]["disk"]["facts"]["sync_ms"]["count"] == 100
    assert [line.split()[:2] for line in lines[:-1]] == [[*item] for item in statuses.items()]


@pytest.mark.slow
def test_a_pi_with_all_its_parts_is_described_and_measured(tmp_path):
    setup = cars.prepare_drive(tmp_path)
    preload = ":".join([setup.environment["LD_PRELOAD"], pads.environment()["LD_PRELOAD"]])
    with setup.rig.plug_in(ranges=KINDS["xpad"].ranges()):
        _, _, report = run(
            tmp_path / "report.json",
            *("-y", "--seconds", "1", "--loopback", "23"),
            *(
                option
                for part in ("check", "pad", "camera", "pulses")
                for option in ("--only", part)
            ),
            prefix=setup.rig.command(),
            env=os.environ | setup.environment | {"LD_PRELOAD": preload},
        )
    parts = report["parts"]
    lines = parts["check"]["facts"]["lines"]
    is_slow = any("lower --rate" in line for line in lines)  # this machine
    assert parts["check"]["status"] == ("failed" if is_slow else "ok"), parts["check"]
    assert is_slow or parts["check"]["reason"] == ""
    assert any(line.strip().startswith("motors") for line in lines)
    pad = parts["pad"]["facts"]
    assert pad["pads"][0]["name"] == "Microsoft X-Box One S pad"
    assert pad["libraries"]["inputs"]["ranges"]["ABS_RZ"] == [0, 0, 1023]
    assert pad["described"].endswith("map xpad, read by inputs")
    camera = parts["camera"]["facts"]
    assert camera["pictures"] > 1
    assert camera["interval_ms"]["count"] == camera["pictures"] - 1
    assert (parts["pulses"]["status"], "lgpio" in parts["pulses"]["reason"]) == ("missing", True)


def test_a_report_is_never_written_over_another_one(tmp_path, call):
    file = tmp_path / "report.json"
    file.write_text("mine")
    code, out, err = call(on_pi, "-o", file, "--only", "disk")
    assert (code, out) == (1, None)
    assert str(file) in err
    assert "-o FILE" in err
    assert file.read_text() == "mine"


def test_on_a_pi_the_motors_are_asked_about(tmp_path, call, monkeypatch):
    monkeypatch.setattr(machine, "model", lambda: "Raspberry Pi 5 Model B Rev 1.0")
    code, _, err = call(on_pi, "-o", tmp_path / "report.json", "--only", "disk")
    assert (code, "give -y" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []
    assert call(on_pi, "-o", tmp_path / "report.json", "--only", "disk", "-y")[0] == 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (outcomes.Missing("no such thing", {"found": 1}), "missing"),
        (outcomes.Skipped("not asked for"), "skipped"),
        (outcomes.Failed("too slow", {"found": 1}), "failed"),
        (ZeroDivisionError("a bug"), "failed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_that_fails_is_a_line_of_the_report(failure, status):
    def part():
        raise failure

    outcome = outcomes.run_part("disk", part)
    assert (outcome.part, outcome.status) == ("disk", status)
    assert str(failure) in outcome.reason
    assert outcome.facts == getattr(failure, "facts", {})


def test_the_report_has_no_names_of_users_machines_or_devices(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "zoes-car")
    monkeypatch.setattr(getpass, "getuser", lambda: "zoe.b")
    text = f"{Path.home()}/x of zoe.b at zoes-car, {path.ROOT}/drives, aa:BB:cc:01:02:03"
    assert outcomes.anonymize({"lines": [text, 1, None]}) == {
        "lines": ["HOME/x of USER at MACHINE, CHECKOUT/drives, ADDRESS", 1, None]
    }


EDGES = [(0, 0.9), (1, 1.0), (0, 1.0015), (1, 1.02), (0, 1.0211), (1, 1.04), (0, 1.0415), (1, 1.06)]


def test_widths_are_those_of_whole_pulses():
    assert loopback.widths_us(EDGES) == pytest.approx([1500, 1100, 1500])
    assert loopback.widths_us(loopback.since(EDGES, 1.001)) == pytest.approx([1100, 1500])
    assert outcomes.summarize([3.0, 1.0, 2.0])["median"] == 2.0


def test_the_stop_is_the_last_pulse_that_moves():
    assert loopback.stopped_after_ms(EDGES, 1.0, 1100) == pytest.approx(20.0)
    assert loopback.stopped_after_ms(EDGES, 1.0, 1900) is None


class PlayedLgpio:
    """The calls of lgpio that the report uses; chip 1 is that of a Pi 5."""

    BOTH_EDGES = 3
    error = OSError
    clock_ahead_ns = 10**12

    def __init__(self):
        self.open, self.claimed = [], None

    def gpiochip_open(self, number):
        if number > 1:
            raise self.error("no such chip")
        self.open.append(number)
        return number

    def gpiochip_close(self, chip):
        self.open.remove(chip)

    def gpio_get_chip_info(self, chip):
        return 0, 54, f"gpiochip{chip}", ["gpio-brcmstb", "pinctrl-rp1"][chip]

    def gpio_claim_alert(self, chip, pin, edges):
        self.claimed = chip, pin, edges

    def callback(self, chip, pin, _edges, tell):
        for level in (1, 0):
            tell(chip, pin, level, time.monotonic_ns() + self.clock_ahead_ns)
        tell(chip, pin, 2, 0)  # its watchdog
        return SimpleNamespace(cancel=lambda: None)


def test_edges_are_those_of_the_pi_s_own_chip_in_the_clock_of_python(monkeypatch):
    played = PlayedLgpio()
    monkeypatch.setitem(sys.modules, "lgpio", played)
    before_s = time.monotonic()
    with loopback.recorded_edges(23) as edges:
        assert (played.open, played.claimed) == ([1], (1, 23, 3))
        [(rise, rise_s), (fall, fall_s)] = edges()
    assert (rise, fall) == (1, 0)
    assert before_s <= rise_s <= fall_s <= time.monotonic()
    assert played.open == []


def test_without_the_chip_of_a_pi_no_edge_can_be_told(monkeypatch):
    played = PlayedLgpio()
    played.gpio_get_chip_info = lambda chip: (0, 1, "gpiochip0", "a USB adapter")
    monkeypatch.setitem(sys.modules, "lgpio", played)
    with (
        pytest.raises(outcomes.Missing, match="is the user in the group gpio"),
        loopback.recorded_edges(23),
    ):
        pass
    assert played.open == []
