"""Retries: the delays grow, and none leads past the timeout."""

import pytest

from common import retry
from common.retry import Backoff


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
