"""What is calibrated: the indexed images of a corpus, and the model that their vectors are by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.records import Vectors
from ml_api.vectors.base import Metric, VectorStore

AT_ONCE: Final = 64
"""Texts of one pass through the model."""


@dataclass(frozen=True, slots=True)
class IndexedCorpus:
    store: VectorStore
    metric: Metric
    preprocessor: Preprocessor
    encoder: Encoder

    def embedded(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts, shape (texts, dim). Raises as `Encoder.embed` does."""
        parts = [
            self.encoder.embed([self.preprocessor.prepare_text(text) for text in texts[start : start + AT_ONCE]])
            for start in range(0, len(texts), AT_ONCE)
        ]
        return np.vstack(parts) if parts else np.empty((0, self.encoder.model.dim), dtype=np.float32)
