"""Who is let in: the line is as long as it can be served in time."""

import pytest

from ml_api.serving.admission import Admission, Permit


def taught(cost_s, *, limit=1000, wait_s=3.0):
    """One who has seen a hundred requests of a full line, each place of which cost `cost_s`, as was expected."""
    admission = Admission(limit, wait_s)
    for _ in range(100):
        admission.acquire()
        admission.release(Permit(32, 32 * cost_s + 0.01), 32 * cost_s)
    return admission


def fill(admission):
    """How many are let in at once."""
    for length in range(2000):
        if admission.acquire() is None:
            return length
    raise AssertionError("the line has no end")


@pytest.mark.parametrize(("cost_s", "expected"), [(0.1, 31), (0.01, 301), (0.001, 1000)])
def test_the_line_is_as_long_as_can_be_served_in_time_and_never_longer_than_its_limit(cost_s, expected):
    assert fill(taught(cost_s)) == pytest.approx(expected, abs=1)


def test_without_experience_only_the_limit_counts():
    assert fill(Admission(limit=7, wait_s=0.001)) == 7


def test_an_empty_line_lets_in_whatever_was_learnt():
    admission = taught(60.0)
    assert fill(admission) == 1


def test_who_leaves_makes_room():
    admission = Admission(limit=2, wait_s=3.0)
    first, second = admission.acquire(), admission.acquire()
    assert admission.acquire() is None
    admission.release(first, 0.1)
    assert admission.acquire()
    admission.release(second, 0.1)
    assert admission.acquire()


def test_batches_are_learnt_and_a_machine_that_slows_down_too():
    admission = taught(0.01)
    for _ in range(200):
        admission.acquire()
        admission.release(Permit(32, 32 * 0.1 + 0.01), 32 * 0.1)
    assert fill(admission) == pytest.approx(31, abs=3)


def test_estimates_that_fell_short_are_kept_in_reserve():
    steady, unsteady = taught(0.1), taught(0.1)
    for number in range(100):
        took_s = 32 * (0.05 if number % 2 else 0.15)
        unsteady.acquire()
        unsteady.release(Permit(32, 3.2), took_s)
    assert fill(unsteady) < 0.8 * fill(steady)


def test_quick_answers_in_a_long_line_hardly_count():
    """A page's files come between images: they say little about what an image costs."""
    admission = taught(0.1)
    for number in range(100):
        admission.acquire()
        took_s = 0.001 if number % 4 == 0 else 3.2
        admission.release(Permit(32, 3.3), took_s)
    assert fill(admission) < 50
