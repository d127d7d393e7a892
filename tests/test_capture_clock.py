"""Times of capture only go up, whatever the wall clock does."""

from datetime import UTC, datetime, timedelta

import pytest

from common.errors import InputError
from get_data.labels.ids import format_img_id
from get_data.recording import capture_clock
from get_data.recording.capture_clock import CaptureClock


class Clocks:
    """A monotonic clock and a wall clock that a test turns."""

    def __init__(self):
        self.monotonic_s = 100.0
        self.wall_s = datetime(2024, 5, 1, tzinfo=UTC).timestamp()

    def pass_s(self, seconds):
        self.monotonic_s += seconds
        self.wall_s += seconds

    def clock(self, after=None, **more):
        return CaptureClock(
            after=after, **more, monotonic=lambda: self.monotonic_s, wall=lambda: self.wall_s
        )


def test_tells_the_wall_clocks_time():
    clocks = Clocks()
    clock = clocks.clock()
    clocks.pass_s(2)
    assert clock.time_at(101.5) == datetime(2024, 5, 1, 0, 0, 1, 500000, tzinfo=UTC)


def test_runs_on_steadily_when_the_wall_clock_steps_back():
    clocks = Clocks()
    clock = clocks.clock()
    first = clock.time_at(clocks.monotonic_s)
    clocks.wall_s -= 3600
    clocks.pass_s(0.05)
    assert clock.time_at(clocks.monotonic_s) - first == timedelta(seconds=0.05)


def test_follows_the_wall_clock_ahead():
    clocks = Clocks()
    clock = clocks.clock()
    first = clock.time_at(clocks.monotonic_s)
    clocks.wall_s += 3600
    clocks.pass_s(1)
    assert clock.time_at(clocks.monotonic_s) - first == timedelta(seconds=3601)


def test_starts_after_the_last_moment_of_the_run_before():
    clocks = Clocks()
    last = datetime(2025, 1, 1, tzinfo=UTC)
    clock = clocks.clock(after=last)
    first = clock.time_at(clocks.monotonic_s)
    clocks.pass_s(0.05)
    assert first > last
    assert (clock.time_at(clocks.monotonic_s) - first).total_seconds() == pytest.approx(
        0.05, abs=1e-5
    )


def test_two_pictures_of_one_instant_get_two_moments():
    clock = Clocks().clock()
    assert clock.time_at(100.0) < clock.time_at(100.0) < clock.time_at(99.0)


def test_what_is_remembered_is_read_back(tmp_path):
    moment = datetime(2024, 5, 1, 1, 2, 3, 456789, tzinfo=UTC)
    capture_clock.save_last_time(tmp_path / "last", moment)
    assert capture_clock.load_last_time(tmp_path / "last") == moment


def test_a_car_without_pictures_remembers_nothing(tmp_path):
    assert capture_clock.load_last_time(tmp_path / "last") is None


def test_a_broken_memory_is_named(tmp_path):
    (tmp_path / "last").write_text("yesterday")
    with pytest.raises(InputError, match=f"{tmp_path / 'last'} holds no id of a picture"):
        capture_clock.load_last_time(tmp_path / "last")


NOW = datetime(2024, 5, 1, tzinfo=UTC)
HOURS = [timedelta(hours=hours) for hours in (-48, 0, 1, 2, 3, 24 * 365 * 60)]


@pytest.mark.parametrize("synchronised", [True, False, None])
def test_what_is_far_ahead_is_followed_only_where_the_clock_may_be_wrong(synchronised):
    followed = capture_clock.follow_policy(synchronised=synchronised, now=NOW)
    newest = followed.newest(NOW + ahead for ahead in HOURS)
    assert newest == NOW + (timedelta(hours=2) if synchronised else HOURS[-1])
    assert followed.newest([]) is None


@pytest.mark.parametrize("synchronised", [True, False, None])
def test_every_file_that_is_far_ahead_is_told_with_its_id(tmp_path, synchronised):
    followed = capture_clock.follow_policy(synchronised=synchronised, now=NOW)
    newest = {tmp_path / str(number): NOW + ahead for number, ahead in enumerate(HOURS)}
    told = followed.warnings({**newest, tmp_path / "none": None})
    assert len(told) == 2
    for number, found in zip((4, 5), told, strict=True):
        assert str(tmp_path / str(number)) in found.message
        assert format_img_id(NOW + HOURS[number]) in found.message
        assert found.note


def test_moments_that_a_folder_has_are_stepped_over():
    """As a clock comes by a second time at what it has shown while it was wrong."""
    clocks = Clocks()
    start = datetime.fromtimestamp(clocks.wall_s, UTC)
    has = {start + timedelta(microseconds=number) for number in range(3)}
    clock = clocks.clock(taken=has.__contains__)
    assert clock.time_at(clocks.monotonic_s) == start + timedelta(microseconds=3)
