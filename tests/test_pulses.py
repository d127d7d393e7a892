"""What is made of the edges that are seen on a pin."""

from math import inf

import pytest

from tests.pi.pulses import Edge, Level, Pulse, composed, stopped_at


def edge(after_us: float, before_us: float, level: Level) -> Edge:
    return Edge(after_us / 1e6, before_us / 1e6, level)


RISE = edge(1000, 1010, Level.HIGH)
FALL = edge(2500, 2510, Level.LOW)


def test_a_pulse_knows_how_wrong_its_width_may_be():
    [pulse] = composed([RISE, FALL])
    assert pulse.width_us == pytest.approx(1500)
    assert pulse.error_us == pytest.approx(10)
    assert pulse.start_s == pytest.approx(1005e-6)
    assert pulse.end_s == pytest.approx(2505e-6)


def test_a_pulse_that_has_not_ended_is_infinite():
    [pulse] = composed([RISE])
    assert pulse.width_us == inf


def test_a_pin_that_is_given_back_while_high_ends_its_pulse():
    [pulse] = composed([RISE, edge(1500, 1510, Level.INPUT)])
    assert pulse.width_us == pytest.approx(500)


def test_an_edge_that_was_not_seen_makes_no_pulse():
    later = [edge(21000, 21010, Level.HIGH), edge(22500, 22510, Level.LOW)]
    assert len(list(composed([RISE, *later]))) == 1
    assert len(list(composed([RISE, FALL, FALL, *later]))) == 2
    assert list(composed([FALL])) == []


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


def test_what_was_before_does_not_count():
    assert stopped_at(train(AHEAD, AHEAD, NEUTRAL), NEUTRAL, 100, after_s=0.03) == 0.03


def test_a_neutral_pulse_may_be_late_where_moving_is_shorter():
    pulses = train(BACK, BACK, NEUTRAL, 2800.0, NEUTRAL)
    assert stopped_at(pulses, NEUTRAL, 100, 0.001, late_us=inf) == pytest.approx(0.04)
    assert stopped_at(pulses, NEUTRAL, 100, 0.001) == pytest.approx(0.08)
