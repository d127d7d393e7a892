"""Two calls at the same time."""

import threading

import pytest

from common.together import run_together
from tests.helpers.waiting import HANGS_S


def fail(error):
    raise error


def test_both_run_at_the_same_time_and_their_results_keep_their_order():
    both = threading.Barrier(2, timeout=HANGS_S)
    first, second = run_together(lambda: ("a", both.wait()), lambda: ("b", both.wait()))
    assert (first[0], second[0]) == ("a", "b")


@pytest.mark.parametrize(
    ("first", "second", "raised"),
    [
        (lambda: fail(KeyError("first")), lambda: fail(ValueError("second")), KeyError),
        (lambda: fail(KeyError("first")), lambda: None, KeyError),
        (lambda: None, lambda: fail(ValueError("second")), ValueError),
    ],
    ids=["both", "first", "second"],
)
def test_the_error_of_the_first_that_fails_is_raised(first, second, raised):
    with pytest.raises(raised):
        run_together(first, second)


def test_a_failure_of_the_first_waits_for_the_second():
    has_failed, ended = threading.Event(), []

    def fail_first():
        has_failed.set()
        raise KeyError

    def end_later():
        has_failed.wait(HANGS_S)
        threading.Event().wait(0.05)
        ended.append(True)

    with pytest.raises(KeyError):
        run_together(fail_first, end_later)
    assert ended == [True]


def test_ctrl_c_does_not_wait_for_the_second():
    answer, ended = threading.Event(), []
    with pytest.raises(KeyboardInterrupt):
        run_together(lambda: fail(KeyboardInterrupt()), lambda: ended.append(answer.wait(HANGS_S)))
    assert ended == []
    answer.set()
