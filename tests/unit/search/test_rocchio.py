"""Marked images move what is searched for, and each one's part of it is known."""

import numpy as np
import pytest

from ml_api.errors import InvalidQuery
from ml_api.search.combining import combined
from ml_api.search.rocchio import refined

X, Y, Z = np.eye(3, dtype=np.float32)
ASKED = combined([X], [1])


def test_without_marks_nothing_changes():
    assert refined(ASKED, [], []) is ASKED


def test_it_moves_towards_the_mean_of_good_ones_and_away_from_that_of_bad_ones():
    expected = X + 0.5 * (Y + Z) / 2
    assert np.allclose(refined(ASKED, [Y, Z], [], 0.5, 0.25).vector, expected / np.linalg.norm(expected))
    expected = X + 0.5 * Y - 0.25 * Z
    found = refined(ASKED, [Y], [Z], 0.5, 0.25)
    assert np.allclose(found.vector, expected / np.linalg.norm(expected))
    assert np.allclose(found.parts.sum(axis=0), found.vector)
    assert found.parts.shape == (3, 3)


def test_how_many_are_marked_does_not_change_how_far_it_moves():
    assert np.allclose(refined(ASKED, [Y], []).vector, refined(ASKED, [Y, Y, Y], []).vector)


def test_what_leaves_nothing_to_search_for_is_refused():
    with pytest.raises(InvalidQuery, match="query, more_like, less_like: terms and marked images cancel out"):
        refined(ASKED, [], [X], 0.5, 1.0)
