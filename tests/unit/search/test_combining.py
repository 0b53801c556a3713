"""The terms of a query become one vector of length 1, and each one's part of it is known."""

import numpy as np
import pytest

from ml_api.errors import InvalidQuery
from ml_api.search.combining import combined

X, Y, Z = np.eye(3, dtype=np.float32)


def test_a_single_term_is_taken_as_it_is():
    vector = np.array([0.6, 0.8000001, 0], dtype=np.float32)
    assert combined([vector], [0.1]).vector is vector


def test_weights_say_how_near_the_sum_is_to_each_term():
    found = combined([X, Y, Z], [2, 1, -2])
    assert np.allclose(found.vector, np.array([2, 1, -2]) / 3)
    assert np.allclose(found.parts.sum(axis=0), found.vector)


@pytest.mark.parametrize("smallest", [5e-324, 1e-200, 1e-30])
def test_only_how_weights_compare_counts_however_small_they_are(smallest):
    """The square of such a number is 0: terms with these weights were said to cancel out."""
    assert np.allclose(combined([X, Y], [smallest, smallest]).vector, (X + Y) / np.sqrt(2))
    assert np.allclose(combined([X], [-smallest]).vector, -X)


def test_a_single_negative_term_points_away():
    assert np.allclose(combined([X], [-0.5]).vector, -X)


@pytest.mark.parametrize(
    ("vectors", "weights", "says"),
    [([X, Y], [0, 0], "every weight is 0"), ([X, X], [1, -1], "cancel out"), ([X, X, Y], [1000, -1000, 0.01], "cancel out")],
)
def test_what_leaves_nothing_to_search_for_is_refused(vectors, weights, says):
    with pytest.raises(InvalidQuery, match=says):
        combined(vectors, weights)
