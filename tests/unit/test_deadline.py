"""A deadline: how long one may still wait."""

from time import perf_counter

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded


def test_what_is_left_runs_out():
    deadline = Deadline.within(60)
    first, second = deadline.left_s(), deadline.left_s()
    assert 0 < second <= first <= 60
    assert not deadline.passed


def test_time_counts_from_the_moment_named():
    assert Deadline.within(60, since=perf_counter() - 50).left_s() <= 10


@pytest.mark.parametrize("timeout_s", [0, -1, 5e-324])
def test_nobody_waits_once_it_has_passed(timeout_s):
    deadline = Deadline.within(timeout_s)
    assert deadline.passed
    with pytest.raises(DeadlineExceeded, match=f"within {timeout_s:g} s"):
        deadline.left_s()


def test_the_later_of_two_is_the_greater():
    sooner, later = Deadline.within(1, since=0.0), Deadline.within(0.5, since=1.0)
    assert max(later, sooner) is later
