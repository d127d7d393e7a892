"""Priority where the user may have it, and nothing else where not."""

import os
import subprocess
import sys
import threading

import pytest

from car.realtime import CONTROL, priority


def policy():
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may without a limit in /etc/security")
def test_the_block_goes_first_and_what_it_starts_does_not():
    before = policy()
    started = []
    with priority(CONTROL):
        assert policy() == os.SCHED_FIFO
        assert os.sched_getparam(0).sched_priority == CONTROL
        thread = threading.Thread(target=lambda: started.append(policy()))
        thread.start()
        thread.join()
        code = "import os; print(os.sched_getscheduler(0))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        started.append(int(child.stdout))
    assert started == [os.SCHED_OTHER] * 2
    assert policy() == before


def test_who_may_not_have_it_goes_on_as_before(monkeypatch):
    def refuses(*_arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuses)
    before = policy()
    with priority(CONTROL):
        assert policy() == before


def test_the_policy_of_before_is_back_after_an_error():
    before = policy()
    with pytest.raises(ValueError, match="a mistake"), priority(CONTROL):
        raise ValueError("a mistake")
    assert policy() == before
