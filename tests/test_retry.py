"""Retries: the delays grow, and none leads past the timeout."""

import pytest

from common import retry
from common.retry import Backoff, Pace


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self):
        self.now_s = 1000.0
        self.slept_s = []

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retry, "time", clock)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    return clock


def test_delays_double_up_to_a_maximum(clock):
    backoff = Backoff()
    while backoff.wait(30):
        pass
    assert clock.slept_s == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5])
    assert backoff.elapsed_s == pytest.approx(26.2)


def test_an_attempt_that_took_the_whole_timeout_is_not_repeated(clock):
    backoff = Backoff()
    clock.now_s += 60
    assert not backoff.wait(60)
    assert clock.slept_s == []


def test_a_timeout_of_zero_never_waits(clock):
    assert not Backoff().wait(0)
    assert clock.slept_s == []


def test_a_timeout_may_grow_between_attempts(clock):
    backoff = Backoff()
    clock.now_s += 8
    assert not backoff.wait(8)
    assert backoff.wait(60)


@pytest.mark.usefixtures("clock")
def test_jitter_shortens_a_delay_by_up_to_a_half(monkeypatch):
    bounds = []
    monkeypatch.setattr(retry.random, "uniform", lambda *given: bounds.append(given) or 0.5)
    backoff = Backoff()
    assert backoff.wait(1)
    assert bounds == [(0.5, 1)]
    assert backoff.elapsed_s == pytest.approx(0.1)


def test_a_timeout_is_counted_from_the_last_success_of_any_request(clock):
    pace = Pace()
    backoff = Backoff(pace)
    clock.now_s += 50
    pace.succeeded(took_s=0.01)
    clock.now_s += 50
    assert backoff.elapsed_s == pytest.approx(50)
    assert backoff.wait(60)
    clock.now_s += 10
    assert not backoff.wait(60)


def test_delays_begin_anew_while_other_requests_succeed(clock):
    pace = Pace()
    backoff = Backoff(pace)
    for _ in range(5):
        backoff.wait(60)
    clock.now_s += 0.001
    pace.succeeded(took_s=0.01)
    backoff.wait(60)
    assert clock.slept_s[-1] < clock.slept_s[0]


def test_each_refusal_makes_all_requests_slower_and_each_success_faster_again(clock):
    pace = Pace()

    def delay_s():
        before_s = clock.now_s
        pace.wait()
        return clock.now_s - before_s

    assert delay_s() == 0
    delays_s = []
    for _ in range(10):
        pace.refused()
        delays_s.append(delay_s())
    assert delays_s == sorted(set(delays_s))
    assert delays_s[0] > 0
    for _ in range(10):
        pace.succeeded(took_s=0.01)
        delays_s.append(delay_s())
    assert delays_s[10] < delays_s[9]
    assert delays_s[-1] == 0


def slowed_down(refused_in_ten, clock):
    """Return the delay of a request, when so many of those before were refused."""
    pace = Pace()
    for number in range(2000):
        if number % 10 < refused_in_ten:
            pace.refused()
        else:
            pace.succeeded(took_s=0.01)
    before_s = clock.now_s
    pace.wait()
    return clock.now_s - before_s


def test_a_server_that_refuses_every_second_request_keeps_most_of_its_pace(clock):
    assert slowed_down(5, clock) < 0.1


def test_a_server_that_refuses_nearly_everything_is_all_but_left_alone(clock):
    assert slowed_down(9, clock) > 5


def test_the_least_time_that_a_request_took_is_known():
    pace = Pace()
    for took_s in (0.05, 0.03, 0.2):
        pace.succeeded(took_s)
    assert pace.fastest_s == 0.03
