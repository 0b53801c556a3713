"""Batches that do not fit into memory are embedded in parts, and the parts stay small for a while."""

from collections.abc import Sequence

import numpy as np
import pytest

from ml_api.embedding.base import Prepared
from ml_api.embedding.batching import FittingEncoder
from ml_api.embedding.fake import FakeEncoder
from ml_api.errors import ModelUnavailable
from ml_api.records import Vectors

WORDS = ["red", "green", "blue", "black", "white", "pink", "brown"]


class SmallMemory(FakeEncoder):
    def __init__(self, fits: int, code: str = "model-out-of-memory") -> None:
        super().__init__()
        self._fits = fits
        self._code = code
        self.sizes: list[int] = []

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        self.sizes.append(len(items))
        if len(items) > self._fits:
            raise ModelUnavailable("no", code=self._code)
        return super().embed(items)


def embed(encoder):
    return encoder.embed([encoder.prepare_text(word) for word in WORDS])


def test_a_batch_that_fits_is_one_pass():
    inner = SmallMemory(fits=10)

    embed(FittingEncoder(inner))
    assert inner.sizes == [7]


def test_a_batch_that_does_not_fit_gives_the_same_vectors_in_more_passes():
    inner = SmallMemory(fits=2)
    encoder = FittingEncoder(inner)

    for _ in range(2):
        np.testing.assert_array_equal(embed(encoder), embed(FakeEncoder()))
    assert inner.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("fits", "code"), [(0, "model-out-of-memory"), (3, "model-unavailable")])
def test_any_other_failure_is_the_callers(fits, code):
    with pytest.raises(ModelUnavailable):
        embed(FittingEncoder(SmallMemory(fits, code)))
