"""Recording of edges, and the pulses that they form."""

import mmap
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import pytest

from tests.helpers import lateness
from tests.helpers.waiting import HANGS_S
from tests.pi import bench, libraries, pulses
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS, GPIO_LIBRARIES
from tests.pi.pulses import Edge, Level, Pulse, Pulses, PulsesNotVisible, compose_pulses, stopped_at


def edge(after_us: float, before_us: float, level: Level) -> Edge:
    return Edge(after_us / 1e6, before_us / 1e6, level)


RISE = edge(1000, 1010, Level.HIGH)
FALL = edge(2500, 2510, Level.LOW)


def test_a_pulse_has_a_measurement_error():
    [pulse] = compose_pulses([RISE, FALL])
    assert pulse.width_us == pytest.approx(1500)
    assert pulse.error_us == pytest.approx(10)
    assert pulse.start_s == pytest.approx(1005e-6)
    assert pulse.end_s == pytest.approx(2505e-6)


def test_a_pulse_that_has_not_ended_is_infinite():
    [pulse] = compose_pulses([RISE])
    assert pulse.width_us == inf


def test_releasing_a_pin_while_high_ends_its_pulse():
    [pulse] = compose_pulses([RISE, edge(1500, 1510, Level.INPUT)])
    assert pulse.width_us == pytest.approx(500)


def test_an_edge_that_changes_nothing_makes_no_pulse():
    """A pin is set low first and last, and stays high when its process is killed."""
    later = [edge(21000, 21010, Level.HIGH), edge(22500, 22510, Level.LOW)]
    assert len(compose_pulses([RISE, *later])) == 1
    assert len(compose_pulses([RISE, FALL, FALL, *later])) == 2
    assert compose_pulses([FALL]) == []


NEUTRAL, AHEAD, BACK = 1500.0, 1800.0, 1200.0


def train(*widths_us: float, error_us: float = 1.0) -> list[Pulse]:
    """Pulses every 20 ms."""
    return [Pulse(0.02 * number, width, error_us) for number, width in enumerate(widths_us)]


@pytest.mark.parametrize(
    ("pulses", "moment_s"),
    [
        pytest.param(train(AHEAD, AHEAD, NEUTRAL, NEUTRAL), 0.04, id="neutral"),
        pytest.param(train(AHEAD, NEUTRAL, AHEAD, NEUTRAL), 0.06, id="neutral, and ahead again"),
        pytest.param(train(AHEAD, AHEAD), 0.02 + 0.0018, id="pulses end"),
        pytest.param(train(AHEAD, inf), 0.0018, id="a pin that stays high sends none"),
        pytest.param(train(NEUTRAL, NEUTRAL), 0.001, id="stood before"),
        pytest.param([], 0.001, id="never a pulse"),
        pytest.param(
            [*train(AHEAD), Pulse(0.02, 1600.0, 900.0), Pulse(0.04, NEUTRAL, 1.0)],
            0.04,
            id="measured badly: neither",
        ),
    ],
)
def test_the_wheels_stop_with_the_first_of_neutral_pulses_only(pulses, moment_s):
    assert stopped_at(pulses, NEUTRAL, 0.001, tolerance_us=100) == pytest.approx(moment_s)


def test_wheels_move_on_between_two_pulses():
    assert stopped_at(train(AHEAD, AHEAD, NEUTRAL), NEUTRAL, 0.03) == 0.04


def test_wheels_that_stood_before_do_not_stop_again():
    assert stopped_at(train(AHEAD, NEUTRAL, NEUTRAL), NEUTRAL, 0.03) == 0.03


def test_a_pulse_is_judged_by_what_the_timer_was_asked_for_not_by_what_a_machine_made_of_it():
    late = [Pulse(0.02 * n, width_us, 900.0, NEUTRAL) for n, width_us in enumerate((2800.0, 12.0))]
    back = [Pulse(0.02 * n, NEUTRAL, 1.0, BACK) for n in range(2, 4)]
    neutral = [Pulse(0.08, BACK, 1.0, NEUTRAL)]
    assert stopped_at(late, NEUTRAL, 0.001) == 0.001
    assert stopped_at([*late, *back, *neutral], NEUTRAL, 0.001) == pytest.approx(0.08)


def test_a_pulse_that_no_timer_ended_is_judged_by_its_width():
    rise = edge(1000, 1010, Level.HIGH)
    [timed] = compose_pulses([rise, Edge(0.0021, 0.0021, Level.LOW, asked_us=NEUTRAL)])
    [cut] = compose_pulses([rise, Edge(0.0021, 0.0021, Level.LOW)])
    [released] = compose_pulses([rise, Edge(0.0021, 0.0021, Level.INPUT, asked_us=NEUTRAL)])
    assert timed.has(NEUTRAL)
    assert not cut.has(NEUTRAL)
    assert cut.has(1095)
    assert released.has(1095)


TWO_PINS = """
from RPi import GPIO
import sys
GPIO.setmode(GPIO.BCM)
GPIO.setup([18, 13], GPIO.OUT)
pins = [GPIO.PWM(18, 50), GPIO.PWM(13, 50)]
for pin in pins: pin.start(7.5)
print(flush=True)
sys.stdin.read()
"""


def rises_of_registers(pi, pins):
    """Return a function that tells whether RPi.GPIO has set a pin since it was asked before."""
    with pi.gpiomem.open("r+b") as file:
        registers = memoryview(mmap.mmap(file.fileno(), 4096)).cast("I")
    registers[7] = 0

    def has_risen(pin):
        risen = registers[7] == 1 << pin
        if risen:
            registers[7] = 0
        return risen

    return has_risen


def rises_of_gpiochip(pi, pins):
    """Return a function that tells whether a pin is high, and was low when it was asked before."""
    with pi.gpiochip.open("rb") as file:
        states = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    before = dict.fromkeys(pins, 1)

    def has_risen(pin):
        was, before[pin] = before[pin], states[pin] & 1
        return before[pin] > was

    return has_risen


RISES = {BY_REGISTERS: rises_of_registers, BY_GPIOCHIP: rises_of_gpiochip}


@pytest.mark.slow
@pytest.mark.parametrize("library", GPIO_LIBRARIES, ids=str)
def test_recorded_edges_match_the_pins(library, tmp_path):
    """Polling them from outside sees fewer edges."""
    pi = bench.create_pi(tmp_path / "pi", library)
    rises_s = {18: [], 13: []}
    with Pulses(pi) as seen, lateness.measured() as late:
        command = pi.command(sys.executable, "-c", TWO_PINS)
        process = subprocess.Popen(
            command, env=bench.environment(pi), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        has_risen = RISES[library](pi, rises_s)
        start_s = time.monotonic()
        while min(map(len, rises_s.values())) < 10:
            for pin, moments_s in rises_s.items():
                if has_risen(pin):
                    moments_s.append(time.monotonic())
            time.sleep(0.0002)
        end_s = time.monotonic()
        process.communicate()
        near_s = 0.1 + late.allowed_s
        for pin, moments_s in rises_s.items():
            recorded_s = [p.start_s for p in seen.since(start_s, pin) if p.start_s < end_s]
            assert len(moments_s) <= len(recorded_s) + 1
            assert all(min(abs(rise - each) for each in recorded_s) < near_s for rise in moments_s)


@pytest.mark.slow
def test_a_missing_pulse_is_reported_with_those_that_came(tmp_path):
    pi = bench.create_pi(tmp_path / "pi")
    with Pulses(pi) as seen:
        command = pi.command(sys.executable, "-c", TWO_PINS)
        process = subprocess.Popen(
            command, env=bench.environment(pi), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        seen.wait_for(18, 1500, HANGS_S)
        with pytest.raises(AssertionError, match=r"no pulse of 700 us on pin 18, but .*1500 asked"):
            seen.wait_for(18, 700, 0.2)
        process.communicate()


@pytest.mark.slow
def test_pulses_are_recorded_whatever_flags_python_links_extensions_with(tmp_path, monkeypatch):
    """Those of Debian 13 bind a library's calls to its own functions at link time."""
    monkeypatch.setenv("LDSHARED", "gcc -shared -Wl,-Bsymbolic-functions")
    monkeypatch.setenv("PATATE_SERVER_CACHE", str(tmp_path / "cache"))
    pulses._visibility_fault.cache_clear()
    pi = bench.create_pi(tmp_path / "pi")
    with Pulses(pi) as seen:
        code = "from RPi import GPIO; GPIO.setmode(GPIO.BCM); GPIO.setup(5, GPIO.OUT, initial=1)"
        command = pi.command(sys.executable, "-c", code)
        subprocess.run(command, env=bench.environment(pi), check=True)
        assert Level.HIGH in [edge.level for edge in seen.edges(5)]


NO_SLEEPS = ["-Dnanosleep=unused", "-Dclock_nanosleep=not_used"]
BLIND = {  # recorders that lack what makes them see; flags of gcc, and what is told
    "nothing": (["-x", "c", "/dev/null"], "failed|recorded: none"),
    "no sleeps": ([*NO_SLEEPS, "{source}"], r"recorded: \d"),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", GPIO_LIBRARIES, ids=str)
@pytest.mark.parametrize("lack", BLIND)
def test_a_recorder_that_does_not_see_all_is_an_error(lack, library, tmp_path, monkeypatch):
    """A test must not conclude anything from missing pulses then, or judge them by the clock."""
    name, blind = library.preload().stem, tmp_path / "blind.so"
    source = str(Path(libraries.__file__).with_name(f"{name}.c"))
    flags, told = BLIND[lack]
    flags = [flag.format(source=source) for flag in flags]
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", blind, *flags, "-ldl"], check=True)
    monkeypatch.setattr(libraries, name, lambda: blind)
    pulses._visibility_fault.cache_clear()
    pi = bench.create_pi(tmp_path / "pi", library)
    with pytest.raises(PulsesNotVisible, match=told) as raised, Pulses(pi):
        pass
    assert library.name in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture(autouse=True)
def _check_visibility_again():
    yield
    pulses._visibility_fault.cache_clear()
