"""Real-time priority where it is allowed, and no change where it is not."""

import os
import subprocess
import sys
import threading

import pytest

from car.realtime import CONTROL, priority
from tests.pi import bench


def policy():
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


@pytest.mark.parametrize("inherited", [False, True])
def test_a_block_has_priority_and_what_it_starts_only_if_inherited(inherited):
    bench.require_realtime_priority()
    before = policy()
    policies = []
    with priority(CONTROL, inherited=inherited):
        assert policy() == os.SCHED_FIFO
        assert os.sched_getparam(0).sched_priority == CONTROL
        thread = threading.Thread(target=lambda: policies.append(policy()))
        thread.start()
        thread.join()
        code = "import os; print(os.sched_getscheduler(0))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        policies.append(int(child.stdout))
    assert policies == [os.SCHED_FIFO if inherited else os.SCHED_OTHER] * 2
    assert policy() == before


@pytest.mark.parametrize("inherited", [False, True])
def test_the_policy_is_restored_also_where_only_root_may_clear_the_flag(monkeypatch, inherited):
    """As sched(7) says, for a user with a limit in /etc/security."""
    current = [os.SCHED_OTHER, os.sched_param(0)]

    def set_to(_thread, to, param):
        if current[0] & os.SCHED_RESET_ON_FORK and not to & os.SCHED_RESET_ON_FORK:
            raise PermissionError(1, "Operation not permitted")
        current[:] = to, param

    monkeypatch.setattr(os, "sched_setscheduler", set_to)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _thread: current[0])
    monkeypatch.setattr(os, "sched_getparam", lambda _thread: current[1])
    with priority(CONTROL, inherited=inherited):
        assert policy() == os.SCHED_FIFO
        assert current[1].sched_priority == CONTROL
    assert policy() == os.SCHED_OTHER
    assert current[1].sched_priority == 0


def test_without_permission_nothing_changes(monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    before = policy()
    with priority(CONTROL):
        assert policy() == before


def test_the_policy_is_restored_after_an_error():
    before = policy()
    with pytest.raises(ValueError, match="a mistake"), priority(CONTROL):
        raise ValueError("a mistake")
    assert policy() == before
