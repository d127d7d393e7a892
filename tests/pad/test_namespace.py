"""The libraries find and read pads in a namespace, as on a Pi."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import path
from tests.pad.helpers import UNKNOWN_EVENTS
from tests.pad.reader import Reader
from tests.pi import bench, libraries, namespace
from tests.pi.pad import ABS, CODES, EVENT, KINDS, FifoPad


@contextmanager
def reading(pi, *enter, **more):
    """Run a reader of the pad; `enter` is the command that wraps it.

    It finds both libraries, and reads with `inputs` unless told otherwise.
    """
    if reason := namespace.missing_support():
        bench.skip_or_fail(reason)
    conf = json.dumps({"dead_zone": 0.0, "library": "inputs", **more})
    command = (*enter, sys.executable, "-m", "tests.pi.read_pad", conf)
    process = subprocess.Popen(
        pi.command(*command),
        cwd=path.ROOT,
        env=os.environ | {"PYTHONPATH": str(libraries.evdev())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # otherwise `select` would miss a line that is buffered
    )
    try:
        with process.stdin, process.stdout:
            yield Reader(process)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("library", ["inputs", "evdev"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_library_finds_and_decodes_every_kind_of_pad(pi, kind, library):
    with FifoPad(pi, kind) as fake_pad, reading(pi, library=library) as reader:
        first = reader.wait_for(lambda line: "describe" in line)
        assert first["name"] == f"{KINDS[kind].name} at /dev/input/event7"
        assert first["map"] == kind.removesuffix("_360")
        reader.wait_for(lambda line: line.get("lost") == "")
        for event in UNKNOWN_EVENTS:
            fake_pad.send(event)
        fake_pad.press("Menu")
        assert reader.wait_for(lambda line: line["pressed"])["pressed"] == ["ARM"]
        fake_pad.steer(-1.0)
        fake_pad.throttle(1.0)
        reader.wait_for(lambda line: (line["steering"], line["throttle"]) == (-1.0, 1.0))
        fake_pad.release("Menu")
        fake_pad.brake(1.0)
        reader.wait_for(lambda line: line["throttle"] == -1.0 and not line["held"])
        assert reader.end()[-1] == {"descriptors_left": 0}


@pytest.mark.slow
@pytest.mark.parametrize("library", ["inputs", "evdev"])
def test_an_unplugged_pad_is_neutral_within_a_tick_and_read_again_when_it_returns(pi, library):
    with FifoPad(pi, "xpadneo") as fake_pad, reading(pi, library=library) as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        fake_pad.throttle(1.0)
        reader.wait_for(lambda line: line["throttle"] == 1.0)
        fake_pad.unplug()
        unplugged_s = time.monotonic()
        lost = reader.wait_for(lambda line: line["lost"])
        assert lost["throttle"] == 0.0
        assert sum(start_s > unplugged_s for start_s in lost["began_s"]) <= 1
        fake_pad.replug(event=9)
        again = reader.wait_for(lambda line: not line["lost"])
        assert (again["throttle"], again["held"]) == (0.0, [])
        fake_pad.throttle(0.0)
        fake_pad.steer(1.0)
        reader.wait_for(lambda line: line["steering"] == 1.0)
        assert reader.end()[-1] == {"descriptors_left": 0}


@pytest.mark.slow
def test_a_pad_that_stays_away_ends_the_reading(pi):
    with FifoPad(pi) as fake_pad, reading(pi, lost_s=1) as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        fake_pad.unplug()
        error = reader.wait_for(lambda line: "error" in line)["error"]
        assert error.startswith("PadLost: Microsoft X-Box One S pad at /dev/input/event7 has been")
        assert reader.end()[-1] == {"descriptors_left": 0}


FLOOD_HZ = 10_000


READINGS_OF_A_FULL_PIPE = 65536 // EVENT.size // 256 + 2


@pytest.mark.slow
def test_a_flood_of_ten_thousand_events_a_second_delays_no_tick(pi):
    with FifoPad(pi) as fake_pad, reading(pi) as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        start_s, sent = time.monotonic(), 0
        while sent * 10 < FLOOD_HZ * 2:
            for _ in range(int((time.monotonic() - start_s) * FLOOD_HZ / 10) - sent):
                fake_pad.send(*[(ABS, CODES["ABS_RX"], value) for value in range(9)])
                sent += 1
            time.sleep(0.002)
        fake_pad.throttle(1.0)
        flooded_s = time.monotonic()
        full = reader.wait_for(lambda line: line["throttle"] == 1.0)
        assert sum(start_s > flooded_s for start_s in full["began_s"]) <= READINGS_OF_A_FULL_PIPE
        figures = reader.end()[-2]
    assert figures["read"]["most"] < 60 * figures["counted"]["most"]
    assert figures["read"]["mean"] < 60 * figures["counted"]["mean"]


@pytest.mark.slow
def test_a_silent_or_lost_pad_costs_almost_no_time(pi):
    with FifoPad(pi) as fake_pad, reading(pi) as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        fake_pad.unplug()
        reader.wait_for(lambda line: line["lost"])
        time.sleep(2.0)
        figures = reader.end()[-2]
    assert figures["read"]["mean"] < 5 * figures["counted"]["mean"]


@pytest.mark.slow
def test_of_two_pads_the_first_is_read(pi):
    with FifoPad(pi, event=11), FifoPad(pi, "stock_bluetooth", event=6), reading(pi) as reader:
        line = reader.wait_for(lambda line: True)
        assert line["name"] == (
            "Xbox Wireless Controller at /dev/input/event6, the first of 2 pads"
        )


@pytest.mark.slow
def test_without_a_pad_the_reading_ends_at_once(pi):
    with reading(pi) as reader:
        assert reader.wait_for(lambda line: True)["error"].startswith(
            "PadLost: no pad is connected: "
        )


@pytest.mark.slow
def test_a_pad_without_read_permission_is_reported_with_its_group(pi):
    with FifoPad(pi) as fake_pad:
        fake_pad.node.chmod(0)
        with reading(pi, "unshare", "-U") as reader:  # as nobody: without the rights of root
            assert reader.wait_for(lambda line: True)["error"] == (
                "PadLost: no permission to read Microsoft X-Box One S pad at /dev/input/event7: "
                "sudo usermod -aG input $USER, then log in again"
            )


LED_WITHOUT_PAD = """
mount -t tmpfs tmpfs /sys/class
mkdir /sys/class/input /sys/class/leds /sys/class/leds/xpad0
mount --bind "$0" /sys/class/input
exec "$@"
"""


@pytest.mark.slow
def test_a_library_that_fails_at_an_led_is_reported_in_one_line(pi):
    enter = "sh", "-ec", LED_WITHOUT_PAD, pi.sys_input
    with FifoPad(pi), reading(pi, *enter) as reader:
        error = reader.wait_for(lambda line: True)["error"]
    assert error.startswith(
        "PadLost: the library inputs fails on the devices of this machine: Attr"
    )
    assert "get_char_device_path" in error
    assert "leave one pad plugged in" in error
    assert "sudo apt install python3-evdev" in error


@pytest.mark.slow
def test_where_one_library_fails_at_the_devices_the_other_reads_the_pad(pi):
    enter = "sh", "-ec", LED_WITHOUT_PAD, pi.sys_input
    with FifoPad(pi) as fake_pad, reading(pi, *enter, library=None) as reader:
        describe = reader.wait_for(lambda line: "describe" in line)["describe"]
        assert describe.endswith("map xpad, read by evdev")
        fake_pad.steer(1.0)
        reader.wait_for(lambda line: line["steering"] == 1.0)


@pytest.mark.slow
def test_a_library_that_fails_at_a_dangling_link_is_reported_in_one_line(pi):
    with FifoPad(pi):
        (pi.input / "by-id/usb-Gone-event-joystick").symlink_to("../event9")
        with reading(pi) as reader:
            error = reader.wait_for(lambda line: True)["error"]
    assert error.startswith(
        "PadLost: the library inputs fails on the devices of this machine: File"
    )
    assert "event9" in error
