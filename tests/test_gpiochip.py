"""The GPIO chip that `tests/pi/gpiochip.c` plays: it refuses what the kernel refuses."""

import subprocess
import sys

import pytest

from tests.pi import bench
from tests.pi.libraries import BY_GPIOCHIP
from tests.pi.pulses import Level, Pulses

CHIP = """
import fcntl, os, struct
GET_LINE, LINE_INFO = 0xC250B407, 0xC100B405
GET_VALUES, SET_VALUES = 0xC010B40E, 0xC010B40F
INPUT, OUTPUT = 4, 8
chip = os.open("/dev/gpiochip0", os.O_RDWR)

def request(flags, pin, level=0, count=1):
    \"\"\"Request a pin and return its descriptor; struct gpio_v2_line_request.\"\"\"
    values = struct.pack("<II QQ", 2, 0, level, 1)  # GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES
    config = struct.pack("<Q I 20x", flags, 1) + values.ljust(240, b"\\0")
    asked = struct.pack("<I 252x 32s", pin, b"test") + config + struct.pack("<I 28x", count)
    return struct.unpack("<i", fcntl.ioctl(chip, GET_LINE, asked)[-4:])[0]

def info(pin):
    \"\"\"Return the flags of a pin; struct gpio_v2_line_info.\"\"\"
    told = fcntl.ioctl(chip, LINE_INFO, struct.pack("<64x I 188x", pin))
    return struct.unpack("<72x Q", told[:80])[0]

def set_level(line, level, mask=1):
    fcntl.ioctl(line, SET_VALUES, struct.pack("<QQ", level, mask))

def get_level(line, mask=1):
    return struct.unpack("<Q 8x", fcntl.ioctl(line, GET_VALUES, struct.pack("<QQ", 0, mask)))[0]

def error_of(action, *arguments):
    try:
        return action(*arguments)
    except OSError as error:
        return os.strerror(error.errno)
"""


def run(pi, code):
    """Run code after `CHIP` in the Pi; return the words that it printed."""
    command = pi.command(sys.executable, "-c", CHIP + code)
    result = subprocess.run(
        command, env=bench.environment(pi), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


@pytest.fixture
def pi(tmp_path):
    return bench.create_pi(tmp_path / "pi", BY_GPIOCHIP)


INVALID, BUSY, NOT_PERMITTED = (
    "Invalid argument",
    "Device or resource busy",
    "Operation not permitted",
)
REFUSED = {
    "no such pin": ("request, OUTPUT, 54", INVALID),
    "no pin": ("request, OUTPUT, 18, 0, 0", INVALID),
    "both directions": ("request, INPUT | OUTPUT, 18", INVALID),
    "a pin that is taken": ("request, INPUT, 13", BUSY),
    "the state of no such pin": ("info, 54", INVALID),
    "a level of an input": ("set_level, request(INPUT, 18), 1", NOT_PERMITTED),
    "no level": ("set_level, taken, 1, 0", INVALID),
    "the level of nothing": ("get_level, taken, 0", INVALID),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_played_kernel_refuses_what_the_kernel_refuses(case, pi):
    action, told = REFUSED[case]
    assert run(pi, f"taken = request(OUTPUT, 13); print(error_of({action}))") == told


def test_levels_are_kept_and_recorded_and_a_closed_pin_is_an_input_that_is_free(pi):
    code = """
line = request(OUTPUT, 18, 1)
used = info(18)
levels = [get_level(line)]
for level in (0, 1, 0):
    set_level(line, level)
    levels.append(get_level(line))
os.close(line)
print(used, info(18), *levels, request(INPUT, 18) >= 0)
"""
    with Pulses(pi) as seen:
        assert run(pi, code) == "9 4 1 0 1 0 True"  # used output, input
        assert [edge.level for edge in seen.edges(18)] == [
            *(Level.HIGH, Level.LOW, Level.HIGH, Level.LOW),
            *(Level.INPUT, Level.INPUT),
        ]
        assert all(edge.asked_us is None for edge in seen.edges(18))


def test_a_process_that_is_killed_leaves_its_pin_as_it_is_and_free(pi):
    code = """
child = os.fork()
if not child:
    request(OUTPUT, 18, 1)
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
print(info(18), get_level(request(INPUT, 18)))
"""
    assert run(pi, code) == "8 1"


def test_a_child_keeps_the_pins_of_its_parent(pi):
    code = """
import signal
read, write = os.pipe()
line = request(OUTPUT, 18)
child = os.fork()
if not child:
    os.read(read, 1)
    os._exit(0)
os.close(line)
print(error_of(request, OUTPUT, 18), end=" ")
os.write(write, b"x")
os.waitpid(child, 0)
print(request(OUTPUT, 18) >= 0)
"""
    assert run(pi, code) == f"{BUSY} True"
