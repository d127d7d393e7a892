"""The behaviour of RPi.GPIO that gpio_pulses.py relies on: the real library and the fake.

Each line of the contract runs in a process of its own. The real library runs in a namespace that
looks like a Raspberry Pi. rpi-lgpio needs a GPIO chip that files cannot emulate, so only the fake
stands for it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pi import bench

FAKES = Path(__file__).parent / "fakes" / "libraries"

SETUP = '''
import gc, mmap, subprocess, os, time, warnings
warnings.simplefilter("error")
from RPi import GPIO

def frequency(pin):
    """Return the frequency of the pin by order of magnitude: 0, 50 or 1000."""
    if hasattr(GPIO, "pulsing"):
        return round(GPIO.pulsing(pin)[0])
    time.sleep(0.1)  # the pulse under way ends
    with open("/dev/gpiomem", "r+b") as file:
        registers = memoryview(mmap.mmap(file.fileno(), 4096)).cast("I")
    rises, bit = [], 1 << pin
    begin = before = time.monotonic()
    worst = 0.0  # longest pause of this thread, and perhaps of the one that drives the pin
    registers[7] = 0
    while len(rises) < 20 and time.monotonic() < begin + 0.4 + 10 * worst:
        looks = time.monotonic()
        rose = registers[7] & bit
        looked = time.monotonic()
        if rose:
            registers[7] = 0
            rises.append((before, looked))
        worst = max(worst, looked - before)
        before = looks
    # Two rises are at least a period apart, however late each is seen.
    if len(rises) <= 1:
        return 0
    nearest = min(later[1] - earlier[0] for earlier, later in zip(rises, rises[1:]))
    return 1000 if nearest < 0.01 else 50

def result(action):
    """Return what the action returns or raises."""
    try:
        return action()
    except (Exception, Warning) as error:
        return f"{type(error).__name__}: {error}"

def pwm(pin=18, hz=50):
    GPIO.setmode(GPIO.BCM)
    GPIO.setup(pin, GPIO.OUT, initial=GPIO.LOW)
    return GPIO.PWM(pin, hz)
'''

# Exits at once: RPi.GPIO would unmap the registers, and a thread that still uses them crashes.
EXIT = """
import sys
sys.stdout.flush()
os._exit(0)
"""

NO_MODE = (
    "RuntimeError: Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or "
    "GPIO.setmode(GPIO.BCM)"
)
SECOND = "RuntimeError: A PWM object already exists for this GPIO channel"
CONTRACT = [
    (
        "constants",
        "print(GPIO.BOARD, GPIO.BCM, GPIO.OUT, GPIO.IN, GPIO.LOW, GPIO.HIGH, GPIO.PUD_OFF, "
        "GPIO.PUD_DOWN, GPIO.PUD_UP)",
        "10 11 0 1 0 1 20 21 22",
    ),
    ("no mode", "print(GPIO.getmode(), result(lambda: GPIO.setup(18, 0)))", f"None {NO_MODE}"),
    (
        "another mode",
        "GPIO.setmode(10); print(result(lambda: GPIO.setmode(11)), GPIO.getmode())",
        "ValueError: A different mode has already been set! 10",
    ),
    ("the same mode", "GPIO.setmode(11); GPIO.setmode(11); print(GPIO.getmode())", "11"),
    (
        "no such mode",
        "print(result(lambda: GPIO.setmode(12)))",
        "ValueError: An invalid mode was passed to setmode()",
    ),
    (
        "PWM before setup",
        "GPIO.setmode(11); print(result(lambda: GPIO.PWM(18, 50)))",
        "RuntimeError: You must setup() the GPIO channel as an output first",
    ),
    (
        "PWM on an input",
        "GPIO.setmode(11); GPIO.setup(18, GPIO.IN); print(result(lambda: GPIO.PWM(18, 50)))",
        "RuntimeError: You must setup() the GPIO channel as an output first",
    ),
    (
        "no such pin",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup(54, GPIO.OUT)))",
        "ValueError: The channel sent is invalid on a Raspberry Pi",
    ),
    (
        "one bad pin of a list",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup([18, '13'], GPIO.OUT)))",
        "ValueError: Channel must be an integer",
    ),
    (
        "no such direction",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup(18, 7)))",
        "ValueError: An invalid direction was passed to setup()",
    ),
    (
        "an output with a resistor",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup(18, 0, pull_up_down=GPIO.PUD_UP)))",
        "ValueError: pull_up_down parameter is not valid for outputs",
    ),
    (
        "an input with a level",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup(18, 1, initial=0)))",
        "ValueError: initial parameter is not valid for inputs",
    ),
    (
        "PWM",
        "p = pwm(); before = frequency(18); p.start(7.5); print(before, frequency(18))",
        "0 50",
    ),
    (
        "no frequency",
        "print(result(lambda: pwm(18, 0)))",
        "ValueError: frequency must be greater than 0.0",
    ),
    (
        "more than always",
        "p = pwm(); print(result(lambda: p.start(100.1)), result(lambda: p.ChangeDutyCycle(-0.1)))",
        " ".join(["ValueError: dutycycle must have a value from 0.0 to 100.0"] * 2),
    ),
    (
        "duty 0 is silence",
        "p = pwm(); p.start(7.5); p.ChangeDutyCycle(0); a = frequency(18); p.ChangeDutyCycle(7.5);"
        "print(a, frequency(18))",
        "0 50",
    ),
    (
        "a second PWM silences the first",
        "p = pwm(); p.start(7.5); print(result(pwm)); gc.collect(); print(frequency(18))",
        f"{SECOND}\n0",
    ),
    ("the last reference", "p = pwm(); p.start(7.5); del p; print(frequency(18))", "0"),
    ("stop", "p = pwm(); p.start(7.5); p.stop(); p.stop(); print(frequency(18))", "0"),
    (
        "another PWM after the first",
        "p = pwm(); p.start(7.5); p.stop(); del p; p = pwm(); p.start(7.5); print(frequency(18))",
        "50",
    ),
    (
        "cleanup of nothing",
        "warnings.simplefilter('always'); w = warnings.catch_warnings(record=True).__enter__(); "
        "GPIO.cleanup(); print(w[0].category.__name__, str(w[0].message).partition('  ')[0])",
        "RuntimeWarning No channels have been set up yet - nothing to clean up!",
    ),
    (
        "cleanup of nothing, unwarned",
        "GPIO.setwarnings(False); print(result(GPIO.cleanup))",
        "None",
    ),
    (
        "cleanup of all forgets the mode",
        "p = pwm(); del p; GPIO.cleanup(); print(GPIO.getmode())",
        "None",
    ),
    (
        "cleanup of some keeps mode and others",
        "p, q = pwm(), pwm(13); p.start(7.5); q.start(7.5); p.stop(); del p; GPIO.cleanup([18]); "
        "print(GPIO.getmode(), frequency(13), result(lambda: GPIO.PWM(18, 50)))",
        "11 50 RuntimeError: You must setup() the GPIO channel as an output first",
    ),
]
DIFFERENCES = [  # with the results of RPi.GPIO and of rpi-lgpio
    ("stopped and started", "p = pwm(); p.start(7.5); p.stop(); p.start(7.5); print(frequency(18))",
     "1000", "50"),
    ("keywords", "pwm(); GPIO.setup(13, 0); print(result(lambda: GPIO.PWM(channel=13, frequency=50)"
     " and 'taken').partition(':')[0])", "TypeError", "taken"),
    ("stop after cleanup", "p = pwm(); p.start(7.5); GPIO.cleanup([18]); "
     "print(str(result(p.stop)).partition(':')[0])", "None", "TypeError"),
]  # fmt: skip
BY_LIBRARY = {
    "RPi.GPIO": [line[:3] for line in [*CONTRACT, *DIFFERENCES]],
    "fake": [line[:3] for line in [*CONTRACT, *DIFFERENCES]],
    "fake rpi-lgpio": [*CONTRACT, *((name, code, lgpio) for name, code, _, lgpio in DIFFERENCES)],
}


def run(library: str, code: str, folder: Path) -> str:
    """Run the code with that library; return what it printed."""
    command = [sys.executable, "-c", SETUP + code + EXIT]
    environment = dict(os.environ, PYTHONPATH=str(FAKES))
    if library == "RPi.GPIO":
        pi = bench.create_pi(folder / "pi")
        environment = bench.environment(pi)
        command = pi.command(*command)
    elif library == "fake rpi-lgpio":
        environment["FAKE_GPIO"] = "rpi-lgpio"
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def cases() -> list[object]:
    slow = {"RPi.GPIO": [pytest.mark.slow]}
    return [
        pytest.param(library, code, expected, id=f"{library}, {name}", marks=slow.get(library, ()))
        for library, lines in BY_LIBRARY.items()
        for name, code, expected in lines
    ]


@pytest.mark.parametrize(("library", "code", "expected"), cases())
def test_a_library_keeps_the_contract(library, code, expected, tmp_path):
    assert run(library, code, tmp_path) == expected


def test_the_fake_has_nothing_that_the_library_lacks():
    """Otherwise a typing error in car/ could go unnoticed."""
    probe = "from RPi import GPIO; print(*sorted(n for n in vars(GPIO) if n[0] != '_'))"
    process = subprocess.run(
        [sys.executable, "-c", probe],
        env=dict(os.environ, PYTHONPATH=str(FAKES)),
        capture_output=True,
        text=True,
        check=True,
    )
    for_tests = {"calls", "pulsing", "Call"}
    imported = {"dataclass", "os", "time", "warnings"}
    assert set(process.stdout.split()) - for_tests - imported == {
        *("BCM", "BOARD", "HIGH", "IN", "LOW", "OUT", "PUD_DOWN", "PUD_OFF", "PUD_UP", "PWM"),
        *("cleanup", "getmode", "setmode", "setup", "setwarnings"),
    }
