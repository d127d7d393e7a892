"""A pad that is unplugged, comes back, or stays away."""

import errno
import os
import threading

import pytest

from car.interfaces import NEUTRAL, Button, Command
from car.pad import devices
from common.errors import PadLost
from tests.pad.helpers import INPUTS, count_descriptors
from tests.pi.pad import FifoPad


def test_an_unplugged_pad_is_neutral_in_the_same_reading(open_pad, fake_pad):
    pad = open_pad()
    fake_pad.throttle(1.0)
    fake_pad.press("LB")
    assert pad.read().command.throttle == 1.0
    fake_pad.unplug()
    state = pad.read()
    assert (state.command, state.held, state.fault) == (NEUTRAL, set(), "the pad is gone")


def test_a_device_that_fails_with_enodev_is_neutral_although_events_are_queued(
    open_pad, fake_pad, device
):
    """The kernel does the same: reading fails, even with events in the queue."""
    pad = open_pad()
    fake_pad.throttle(1.0)
    pad.read()
    fake_pad.throttle(0.9)
    device.fail()
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")


@pytest.mark.parametrize("replaced", [False, True], ids=["node removed", "node replaced"])
def test_a_pad_is_gone_when_its_node_is_removed_or_replaced(open_pad, fake_pad, replaced):
    pad = open_pad()
    fake_pad.throttle(1.0)
    pad.read()
    fake_pad.tap("A")
    fake_pad.node.rename(fake_pad.node.parent / "elsewhere")  # without closing it
    if replaced:
        os.mkfifo(fake_pad.node)
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")
    assert state.pressed == {Button.STOP_RUN}  # pressed before
    if not replaced:
        (fake_pad.node.parent / "elsewhere").rename(fake_pad.node)


@INPUTS  # the other opens the FIFO for writing too, as it may a device
def test_a_pad_is_gone_when_its_fifo_has_no_writer(open_pad, fake_pad):
    """The library alone would read for ever, at full processor load."""
    pad = open_pad()
    fake_pad.throttle(1.0)
    fake_pad.hang_up()
    state = pad.read()
    assert state.command.throttle == 1.0  # sent before
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")


def test_a_pad_that_is_plugged_in_again_starts_neutral_under_any_number(open_pad, fake_pad, clock):
    pad = open_pad()
    fake_pad.throttle(1.0)
    fake_pad.press("LB")
    pad.read()
    fake_pad.unplug()
    pad.read()
    fake_pad.replug(event=12)
    clock.sleep_until(0.4)
    assert pad.read().fault == "the pad is gone"
    clock.sleep_until(0.6)
    state = pad.read()
    assert (state.command, state.held, state.fault, state.silent_s) == (NEUTRAL, set(), "", 0.0)
    assert pad.name.endswith("/event12")
    fake_pad.steer(1.0)
    assert pad.read().command == Command(1.0, 0.0)


def test_a_pad_of_another_kind_is_read_with_its_own_map(pi, open_pad, clock):
    with FifoPad(pi, "xpad"):
        pad = open_pad()
    assert pad.read().fault
    with FifoPad(pi, "stock_bluetooth") as fake_pad:
        clock.sleep_until(1.0)
        pad.read()
        fake_pad.steer(-1.0)
        assert (pad.map_name, pad.read().command) == ("stock_bluetooth", Command(-1.0, 0.0))


def test_a_node_without_permissions_yet_is_tried_again(open_pad, fake_pad, clock, monkeypatch):
    """After plugging in, udev takes a moment to set the group of the node."""
    pad = open_pad()
    fake_pad.unplug()
    pad.read()
    fake_pad.replug()
    real = os.open

    def refuses(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuses)
    clock.sleep_until(1.0)
    assert pad.read().fault == "the pad is gone"
    monkeypatch.setattr(os, "open", real)
    clock.sleep_until(2.0)
    assert pad.read().fault == ""


def test_a_missing_pad_is_looked_for_at_most_every_half_second(
    open_pad, fake_pad, clock, monkeypatch
):
    pad = open_pad()
    fake_pad.unplug()
    pad.read()
    searches = []
    real = devices.Path.glob
    monkeypatch.setattr(
        devices.Path, "glob", lambda self, pattern: searches.append(pattern) or real(self, pattern)
    )
    for tick in range(500):
        clock.sleep_until(tick * 0.02)
        pad.read()
    assert 18 <= len(searches) <= 20


def test_a_pad_that_stays_away_ends_the_run(open_pad, fake_pad, clock):
    pad = open_pad(lost_s=3.0)
    clock.sleep_until(10.0)
    fake_pad.unplug()
    pad.read()
    clock.sleep_until(12.9)
    assert pad.read().fault == "the pad is gone"
    clock.sleep_until(13.5)
    with pytest.raises(
        PadLost, match=r"has been missing for 3 s: plug it in and start again \(no pad"
    ):
        pad.read()
    fake_pad.replug()
    clock.sleep_until(14.5)
    assert pad.read().fault == ""


@pytest.mark.parametrize("unplugged", [False, True], ids=["plugged in", "unplugged"])
def test_closing_twice_leaves_no_descriptor_and_no_thread(open_pad, fake_pad, unplugged):
    before, threads = count_descriptors(), threading.active_count()
    pad = open_pad()
    fake_pad.throttle(1.0)
    pad.read()
    assert threading.active_count() == threads
    if unplugged:
        fake_pad.unplug()
        pad.read()
        fake_pad.replug()
    pad.close()
    pad.close()
    assert count_descriptors() == before
    with pytest.raises(PadLost, match="closed"):
        pad.read()
