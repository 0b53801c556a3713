"""What is calibrated: the indexed images of a corpus, and the model that their vectors are by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from ml_api.embedding.base import Encoder, Prepared, Preprocessor
from ml_api.images.fit import RgbPixels
from ml_api.records import Vectors
from ml_api.vectors.base import MetricType, VectorStore

AT_ONCE: Final = 64
"""Inputs of one pass through the model."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class IndexedCorpus:
    store: VectorStore
    metric: MetricType
    preprocessor: Preprocessor
    encoder: Encoder

    def embedded(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts, shape (texts, dim). Raises as `Encoder.embed` does."""
        return self._embedded(texts, self.preprocessor.prepare_text)

    def pictured(self, pictures: Sequence[RgbPixels]) -> Vectors:
        """The vectors of pictures that the preprocessor's `fit` made, shape (pictures, dim). Raises as `Encoder.embed` does."""
        return self._embedded(pictures, self.preprocessor.prepare_image)

    def _embedded(self, items: Sequence[Item], prepare: Callable[[Item], Prepared]) -> Vectors:
        parts = [
            self.encoder.embed([prepare(item) for item in items[start : start + AT_ONCE]])
            for start in range(0, len(items), AT_ONCE)
        ]
        return np.vstack(parts) if parts else np.empty((0, self.encoder.model.dim), dtype=np.float32)
