"""Ranges of numbers, as facets tell them."""

from hypothesis import given
from hypothesis import strategies as st

from ml_api.search.ranges import MAX_RANGES, Range, numbers_of

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_ranges_have_round_bounds_and_a_like_number_of_hits():
    prices = [9.99 + 0.37 * number for number in range(100)] + [499.0]
    numbers = numbers_of([[price] for price in prices])
    assert (numbers.least, numbers.most) == (9.99, 499.0)
    assert numbers.ranges == (
        Range(None, 20.0, 28),
        Range(20.0, 30.0, 27),
        Range(30.0, 40.0, 27),
        Range(40.0, None, 19),
    )


def test_small_numbers_have_bounds_as_they_would_be_written():
    numbers = numbers_of([[number / 100] for number in range(100)])
    assert [one.gte for one in numbers.ranges] == [None, 0.2, 0.4, 0.6, 0.8]


def test_a_single_number_is_one_range_and_none_is_none():
    assert numbers_of([[5.0], [], [5.0]]).ranges == (Range(None, None, 2),)
    assert numbers_of([[], []]) is None


def test_a_hit_counts_once_in_a_range_however_many_of_its_numbers_are_in_it():
    numbers = numbers_of([[0.0, 0.5, 100.0], [0.0], [100.0]])
    assert [one.count for one in numbers.ranges] == [2, 2]


@given(st.lists(st.lists(FINITE, max_size=3), min_size=1, max_size=40))
def test_every_number_is_in_exactly_one_range(hits):
    numbers = numbers_of(hits)
    ranges = numbers.ranges if numbers else ()
    assert len(ranges) <= MAX_RANGES
    for number in (number for ours in hits for number in ours):
        assert sum((one.gte is None or one.gte <= number) and (one.lt is None or number < one.lt) for one in ranges) == 1
    assert all(one.count for one in ranges)
