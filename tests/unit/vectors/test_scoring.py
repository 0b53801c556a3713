"""Scores and cosines: what one says of two vectors of length 1, the other says as well."""

import numpy as np
import pytest

from ml_api.vectors.scoring import cosine_of, score_of, scores

ONE, OTHER = np.array([[0.6, 0.8]], dtype=np.float32), np.array([[1.0, 0.0]], dtype=np.float32)


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_the_cosine_of_a_score_is_that_of_the_vectors(metric):
    [[score]] = scores(metric, ONE, OTHER)
    assert cosine_of(float(score), metric) == pytest.approx(0.6)
    assert score_of(0.6, metric) == pytest.approx(float(score))
