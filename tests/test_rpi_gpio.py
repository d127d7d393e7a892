"""The behaviour of RPi.GPIO and rpi-lgpio that gpio_pulses.py relies on, by the real libraries.

Each line of the contract runs in a process of its own, in a namespace that looks like a Raspberry
Pi.
"""

import subprocess
import sys

import pytest

from tests.pi import bench
from tests.pi.libraries import EXIT, GPIO_LIBRARIES
from tests.pi.pulses import Pulses

SETUP = '''
import gc, os, time, warnings
from pathlib import Path
warnings.simplefilter("error")
from RPi import GPIO
from tests.pi.namespace import Pi
from tests.pi.pulses import Pulses

recorder = Pulses(Pi(Path(os.environ["EDGES"]).parent)).read_on()

def frequency(pin):
    """Return the frequency of the pin that the library asks its timer for, 0 without pulses."""
    time.sleep(0.1)  # the pulse under way ends
    since = begin = before = time.monotonic()
    worst = 0.0  # longest pause of this thread, and perhaps of the one that drives the pin
    while time.monotonic() < begin + 0.4 + 10 * worst:
        looks = time.monotonic()
        edges = [edge.asked_us for edge in recorder.edges(pin) if edge.after_s > since]
        if len(recorder.since(since, pin)) > 3 and all(edges[-3:]):
            return int(round(1e6 / sum(edges[-3:-1]), -1))
        worst = max(worst, time.monotonic() - before)
        before = looks
        time.sleep(0.01)
    return 0

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
    (
        "stopped and started",
        "p = pwm(); p.start(7.5); p.stop(); p.start(7.5); print(frequency(18))",
        ["1000", "50"],
    ),
    (
        "keywords",
        "pwm(); GPIO.setup(13, 0); print(result(lambda: GPIO.PWM(channel=13, frequency=50)"
        " and 'taken').partition(':')[0])",
        ["TypeError", "taken"],
    ),
    (
        "stop after cleanup of all",
        "p = pwm(); p.start(7.5); GPIO.cleanup(); print(str(result(p.stop)).partition(':')[0])",
        ["None", "TypeError"],
    ),
    (
        "cleanup of nothing",
        "warnings.simplefilter('always'); w = warnings.catch_warnings(record=True).__enter__(); "
        "GPIO.cleanup(); print(*[each.category.__name__ for each in w])",
        ["RuntimeWarning", ""],
    ),
    (
        "one bad pin of a list",
        "GPIO.setmode(11); print(result(lambda: GPIO.setup([18, '13'], GPIO.OUT)))",
        ["ValueError: Channel must be an integer", "None"],
    ),
]


@pytest.mark.parametrize("library", GPIO_LIBRARIES, ids=str)
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *(pytest.param(code, [told] * 2, id=name) for name, code, told in CONTRACT),
        *(pytest.param(code, told, id=name) for name, code, told in DIFFERENCES),
    ],
)
def test_a_library_keeps_the_contract(code, expected, library, tmp_path):
    pi = bench.create_pi(tmp_path / "pi", library)
    with Pulses(pi):
        process = subprocess.run(
            pi.command(sys.executable, "-c", SETUP + code + EXIT),
            env=bench.environment(pi) | {"LG_WD": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == expected[GPIO_LIBRARIES.index(library)]
