"""Ratios are of neighbours in time, so that a machine that slows down on the way does not move them."""

import pytest

from benchmarks.measuring import alternate, rate_of


def test_the_order_is_turned_round_each_time():
    order = []

    def side(name):
        order.append(name)
        return 1.0

    alternate({"ours": lambda: side("ours"), "bare": lambda: side("bare")}, rounds=3)
    assert order == ["ours", "bare", "bare", "ours", "ours", "bare"]


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    fast, slow = iter([10.0, 100.0, 20.0]), iter([20.0, 100.0, 40.0])
    sides = alternate({"ours": lambda: next(fast), "bare": lambda: next(slow)}, rounds=3)
    assert sides.ratio("ours", "bare") == pytest.approx(0.5)
    assert sides.ratio_range("ours", "bare") == (0.5, 1.0)


def test_work_is_done_once_at_least():
    assert rate_of(lambda: 3, seconds=0) > 0
