"""What marking hits gains is judged by what comes after them."""

import numpy as np
import pytest

from demo.marks import imperfect, precision

IMAGES = np.stack([np.cos(np.linspace(0, 1.5, 40)), np.sin(np.linspace(0, 1.5, 40))], axis=1).astype(np.float32)
TEXT = IMAGES[20]


@pytest.mark.parametrize(("right", "counts"), [(range(20, 40), True), (range(20, 25), False), (range(40), False)])
def test_a_search_counts_if_more_right_ones_could_have_been_found(right, counts):
    search = imperfect("any", TEXT, IMAGES, frozenset(right))
    assert (search is not None) == counts
    assert search is None or search.ranking[0] == 20


def test_marks_find_more_of_what_lies_on_their_side():
    search = imperfect("any", TEXT, IMAGES, frozenset(range(20, 40)))
    before = precision([search], IMAGES, 5, 0, 0)
    assert before == pytest.approx(0.5, abs=0.11)
    assert precision([search], IMAGES, 5, 0.75, 0.5) > before
