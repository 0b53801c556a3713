"""Maximal marginal relevance: which hit comes next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml_api.search.diversity import diversified


def unit(*rows):
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_is_like_the_hit_before_comes_later():
    vectors = unit([1, 0, 0], [1, 0.01, 0], [0, 1, 0])
    scores = np.array([0.9, 0.89, 0.6], dtype=np.float32)
    assert diversified(scores, vectors, 0.0) == [0, 1, 2]
    assert diversified(scores, vectors, 0.7) == [0, 2, 1]


@pytest.mark.parametrize("count", [0, 1])
def test_there_may_be_next_to_nothing_to_choose_from(count):
    assert diversified(np.ones(count, dtype=np.float32), unit([1.0, 0.0])[:count], 0.5) == list(range(count))


@given(arrays.arrays(np.float32, (7, 3), elements=st.floats(0.125, 1, width=32)), st.floats(0, 1))
def test_every_hit_comes_once_and_the_best_first(rows, diversity):
    vectors = unit(*rows)
    scores = np.sort(vectors @ vectors[0])[::-1]
    order = diversified(scores, vectors, diversity)
    assert sorted(order) == list(range(7))
    assert order[0] == 0


def test_equal_hits_stay_in_their_order():
    assert diversified(np.ones(4, dtype=np.float32), unit(*[[1.0, 1.0]] * 4), 0.5) == [0, 1, 2, 3]
