"""Several texts are judged one by one: what each is worth, and what their probabilities make of a query."""

import numpy as np
import pytest

from ml_api.records import Hit
from ml_api.search.negation import UNWANTED
from ml_api.search.texts_relevance import TextPart, TextsEstimator, importances
from tests.captioned import described

HITS = [Hit(described(number), 0.5) for number in range(3)]
VECTOR = np.eye(1, 4, dtype=np.float32)[0]


class Known:
    """Judges each image of HITS as it was told."""

    metric = "COSINE"
    best = HITS

    def __init__(self, *relevances, any_match=0.9):
        self._relevances = {hit.record.id: one for hit, one in zip(HITS, relevances, strict=True)}
        self._any_match = any_match

    def any_match(self, _left):
        return self._any_match

    def relevances(self, hits):
        return tuple(self._relevances[hit.record.id] for hit in hits)


def estimator_of(*texts):
    """Of texts as (estimator, is wanted, importance), and how certainly words name the first of HITS, if they do."""
    judged = [
        TextPart(estimator, VECTOR, is_wanted, importance, {HITS[0].record.id: max(named, default=0.0)}, max(named, default=0.0))
        for estimator, is_wanted, importance, *named in texts
    ]
    return TextsEstimator(judged, lambda ids: dict.fromkeys(ids, VECTOR))


@pytest.mark.parametrize(
    ("weights", "counted"),
    [
        ([1, 1], [1, 1]),
        ([2, 0.5], [1, 0.25]),
        ([1, UNWANTED], [1, 1]),
        ([1, -0.25], [1, 0.5]),
        ([1, -3], [1, 1]),
        ([1, 0], [1, 0]),
        ([5e-324, -1], [1, 1]),
        ([1000, 1e-300], [1, 1e-303]),
    ],
)
def test_a_text_counts_by_its_weight(weights, counted):
    assert importances(weights) == pytest.approx(counted)


def test_a_match_is_one_of_each_wanted_text_and_of_no_unwanted_one():
    estimator = estimator_of((Known(0.9, 0.9, 0.1), True, 1.0), (Known(0.2, 0.8, 0.2), False, 1.0))
    assert estimator.relevances(HITS) == pytest.approx((0.72, 0.18, 0.08))
    assert estimator.any_match(HITS) == pytest.approx(0.9 * 0.72 / 0.9)
    assert estimator.any_match(HITS[1:2]) == pytest.approx(0.9 * 0.18 / 0.9)


def test_a_text_that_hardly_counts_makes_nothing_likely():
    estimator = estimator_of(
        (Known(0.01, 0.01, 0.01, any_match=0.02), True, 1.0), (Known(0.9, 0.9, 0.9, any_match=1.0), True, 1e-6)
    )
    assert estimator.any_match(HITS) == pytest.approx(0.02, abs=0.001)


def test_a_name_is_worth_as_much_as_its_text_and_says_nothing_of_the_others():
    dog, name, snow = Known(0.1, 0.9, 0.9), Known(0.02, 0.02, 0.02), Known(0.8, 0.8, 0.2)
    alone, with_snow_left_out = estimator_of((name, True, 1.0, 1.0)), estimator_of((name, True, 1.0, 1.0), (snow, False, 1.0))
    assert alone.relevances(HITS)[0] == 1
    assert with_snow_left_out.relevances(HITS)[0] == pytest.approx(0.2)
    beside, hardly = estimator_of((dog, True, 1.0), (name, True, 1.0, 1.0)), estimator_of((dog, True, 1.0), (name, True, 1e-6, 1.0))
    assert beside.relevances(HITS) == pytest.approx((0.1, 0.018, 0.018))
    assert hardly.relevances(HITS) == pytest.approx((0.1, 0.9, 0.9), abs=1e-4)


def test_many_texts_that_no_image_shows_have_no_match():
    estimator = estimator_of(*[(Known(1e-6, 1e-6, 1e-6), True, 1.0)] * 64)
    assert estimator.any_match(HITS) == 0


def test_an_image_that_was_deleted_meanwhile_is_no_match():
    text = TextPart(Known(0.9, 0.9, 0.9), VECTOR, is_wanted=True, importance=1.0, named={}, surest=0.0)
    estimator = TextsEstimator([text] * 2, lambda _ids: {})
    assert estimator.relevances(HITS) == (0, 0, 0)
