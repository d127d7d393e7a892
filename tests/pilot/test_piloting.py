"""A pilot in the place of stick and trigger: what it does wrong stops the car."""

import threading
from math import inf, nan

import numpy as np
import pytest

from car.clock import VirtualClock
from car.drive import DriveLimits, State, decide
from car.interfaces import NEUTRAL, Button, Command, Frame
from car.pilot.piloting import GIVE_UP_S, LATE, TIMEOUT_S, PilotedPad, Piloting
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from common.errors import PilotFailed
from tests.helpers.waiting import HANGS_S, wait_until

BLACK = np.zeros((12, 16, 3), np.uint8)


class FakePilot:
    """Pilot that gives each of its answers once, then the last one; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def describe(self):
        return "fake pilot"

    def settings(self):
        return {}

    def command(self, pixels):
        self.asked += 1
        assert self.goes_on.wait(HANGS_S)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def start():
    """Return a function that starts a pilot on a virtual clock; the pilots end with the test."""
    started = []

    def start_piloting(pilot):
        piloting = Piloting(pilot, VirtualClock())
        started.append((pilot, piloting))
        return piloting

    yield start_piloting
    for pilot, piloting in started:
        pilot.goes_on.set()
        piloting.close()
        piloting.close()


def show(piloting, *, now_s=0.0):
    piloting.show(Frame(BLACK, now_s))


def test_the_newest_command_is_followed_and_clamped(start):
    piloting = start(FakePilot(Command(0.2, 0.3), Command(-3.0, 0.4)))
    assert piloting.read() == (NEUTRAL, "")
    show(piloting)
    wait_until(lambda: piloting.read() == (Command(0.2, 0.3), ""))
    show(piloting)
    wait_until(lambda: piloting.read() == (Command(-1.0, 0.4), ""))


WRONG = {
    "NaN steering": Command(nan, 0.3),
    "NaN throttle": Command(0.1, nan),
    "infinite": Command(inf, 0.3),
    "one number": 0.1,
    "a row of numbers": np.zeros(2),
    "nothing": None,
    "numbers of a wrong shape": Command(np.zeros(2), 0.3),
    "an exception": ValueError("shapes (1200,) and (12,2) not aligned"),
    "an exception without a word": ZeroDivisionError(),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_never_followed_and_ends_the_drive(start, answer):
    piloting = start(FakePilot(Command(0.2, 0.3), answer))
    show(piloting)
    wait_until(lambda: piloting.read()[0] == Command(0.2, 0.3))
    show(piloting)
    with pytest.raises(PilotFailed) as caught:
        wait_until(lambda: piloting.read()[0] not in (NEUTRAL, Command(0.2, 0.3)))
    assert str(caught.value).isprintable()
    with pytest.raises(PilotFailed):
        piloting.read()


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_a_pilot_that_answers_wrong_is_found_before_the_drive(start, answer):
    with pytest.raises(PilotFailed):
        start(FakePilot(answer)).check(16, 12)


def test_a_command_expires_with_its_picture(start):
    piloting = start(FakePilot(Command(0.2, 0.3)))
    show(piloting)
    wait_until(lambda: piloting.read()[0] != NEUTRAL)
    piloting._clock.sleep_until(TIMEOUT_S - 0.01)
    assert piloting.read()[1] == ""
    piloting._clock.sleep_until(TIMEOUT_S + 0.01)
    assert piloting.read()[1] == LATE
    show(piloting)  # a picture of long ago
    wait_until(lambda: piloting._pilot.asked == 2)
    assert piloting.read()[1] == LATE
    show(piloting, now_s=TIMEOUT_S)
    wait_until(lambda: piloting.read()[1] == "")


def test_a_pilot_that_hangs_from_its_first_picture_on_is_late(start):
    pilot = FakePilot(Command(0.2, 0.3))
    pilot.goes_on.clear()
    piloting = start(pilot)
    piloting._clock.sleep_until(5.0)
    piloting.restart()
    show(piloting, now_s=5.0)
    assert piloting.read() == (NEUTRAL, "")
    piloting._clock.sleep_until(5.0 + TIMEOUT_S + 0.01)
    assert piloting.read() == (NEUTRAL, LATE)
    piloting._clock.sleep_until(5.0 + GIVE_UP_S + 0.01)
    with pytest.raises(PilotFailed):
        piloting.read()


def test_pictures_that_a_slow_pilot_cannot_look_at_are_left_out(start):
    pilot = FakePilot(Command(0.2, 0.3))
    pilot.goes_on.clear()
    piloting = start(pilot)
    show(piloting)
    wait_until(lambda: pilot.asked == 1)
    for number in range(100):
        show(piloting, now_s=number / 1000)
    pilot.goes_on.set()
    wait_until(lambda: pilot.asked == 2)
    wait_until(lambda: not piloting._shown.is_set())
    assert pilot.asked == 2


def test_a_car_whose_pilot_hung_stops_until_menu_is_pressed(start):
    """The decision of the drive, with a person who presses Menu as a simulated one does."""
    pilot = FakePilot(Command(0.2, 0.3))
    piloting = start(pilot)
    clock = piloting._clock
    world = World(seed=1, clock=clock)
    pad = PilotedPad(SimulatedPad(world), piloting, max_throttle=0.5)
    limits, state = DriveLimits(0.5), State()

    def step(now_s):
        nonlocal state
        clock.sleep_until(now_s)
        decision = decide(state, pad.read(), limits)
        state = decision.state
        world.apply(decision.command)
        return decision.command

    def answer(now_s):
        clock.sleep_until(now_s)
        asked = pilot.asked
        show(piloting, now_s=now_s)
        wait_until(lambda: piloting._answer[1] == now_s)
        assert pilot.asked == asked + 1

    assert (step(0.0), state.armed) == (NEUTRAL, True)
    answer(0.05)
    assert step(0.06) == Command(0.2, 0.3)
    assert (step(0.4), state.armed, state.stop_reason) == (NEUTRAL, False, LATE)
    answer(0.5)
    assert (step(0.5), state.armed) == (NEUTRAL, False)
    answer(1.5)
    assert (step(1.5), state.armed) == (NEUTRAL, True), "Menu was pressed"
    assert step(1.52) == Command(0.2, 0.3)


def test_the_throttle_of_a_pilot_is_no_more_than_that_of_a_full_trigger(start):
    piloting = start(FakePilot(Command(0.2, 0.9)))
    show(piloting)
    wait_until(lambda: piloting.read()[0] != NEUTRAL)
    world = World(seed=1, clock=piloting._clock)
    pad = PilotedPad(SimulatedPad(world), piloting, max_throttle=0.3)
    assert Button.ARM in pad.read().pressed
    assert pad.read().command == Command(0.2, 1.0)
