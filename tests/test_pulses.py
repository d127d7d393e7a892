"""Recording of edges, and the pulses that they form."""

import mmap
import subprocess
import sys
import time
from math import inf

import pytest

from tests.helpers import lateness
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import bench, libraries, pulses
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
    assert stopped_at(pulses, NEUTRAL, 100, after_s=0.001) == pytest.approx(moment_s)


def test_wheels_move_on_between_two_pulses():
    assert stopped_at(train(AHEAD, AHEAD, NEUTRAL), NEUTRAL, 100, after_s=0.03) == 0.04


def test_wheels_that_stood_before_do_not_stop_again():
    assert stopped_at(train(AHEAD, NEUTRAL, NEUTRAL), NEUTRAL, 100, after_s=0.03) == 0.03


def test_a_neutral_pulse_may_be_late_where_moving_is_shorter():
    pulses = train(BACK, BACK, NEUTRAL, 2800.0, NEUTRAL)
    assert stopped_at(pulses, NEUTRAL, 100, 0.001, late_us=inf) == pytest.approx(0.04)
    assert stopped_at(pulses, NEUTRAL, 100, 0.001) == pytest.approx(0.08)


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


@pytest.mark.slow
def test_recorded_edges_match_the_registers_of_the_pins(tmp_path):
    """Polling them from outside sees fewer edges."""
    pi = bench.create_pi(tmp_path / "pi")
    rises_s = {18: [], 13: []}
    with (
        Pulses(pi) as seen,
        pi.gpiomem.open("r+b") as file,
        lateness.measured() as late,
    ):
        registers = memoryview(mmap.mmap(file.fileno(), 4096)).cast("I")
        command = pi.command(sys.executable, "-c", TWO_PINS)
        process = subprocess.Popen(
            command, env=bench.environment(pi), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        registers[7] = 0
        start_s = time.monotonic()
        while min(map(len, rises_s.values())) < 10:
            for pin in rises_s:
                if registers[7] == 1 << pin:
                    registers[7] = 0
                    rises_s[pin].append(time.monotonic())
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
        seen.wait_for(18, 1500, HANGS_S, tolerance_us=300)
        wait_until(lambda: any(pulse.error_us < 20_000 for pulse in seen.since(0, 18)))
        with pytest.raises(AssertionError, match=r"no pulse of 700 us on pin 18, but \d+"):
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


@pytest.mark.slow
def test_a_recorder_that_records_nothing_is_an_error(tmp_path, monkeypatch):
    """A test must not conclude anything from missing pulses then."""
    nothing = tmp_path / "nothing.so"
    subprocess.run(["gcc", "-shared", "-o", nothing, "-x", "c", "/dev/null"], check=True)
    monkeypatch.setattr(libraries, "edges", lambda: nothing)
    pulses._visibility_fault.cache_clear()
    pi = bench.create_pi(tmp_path / "pi")
    with pytest.raises(PulsesNotVisible) as raised, Pulses(pi):
        pass
    assert "\n" not in str(raised.value)


@pytest.fixture(autouse=True)
def _check_visibility_again():
    yield
    pulses._visibility_fault.cache_clear()
