"""For whoever makes batches of its own, as a sync does: they go through the model in as many passes as memory asks for."""

import logging
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ml_api.embedding.base import Encoder, Prepared
from ml_api.embedding.batching.sizing import MAX_BATCH, Ceiling
from ml_api.errors import ModelUnavailable
from ml_api.records import ModelInfo, Vectors

_log = logging.getLogger(__name__)


class FittingEncoder:
    """An `Encoder` over another, for one thread: out of memory costs a failed pass, not the batch."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self._ceiling = Ceiling(MAX_BATCH)

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    @property
    def image_edge_px(self) -> int:
        return self._inner.image_edge_px

    def prepare_text(self, text: str) -> Prepared:
        return self._inner.prepare_text(text)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return self._inner.prepare_image(image)

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """Raises ModelUnavailable, for memory only if a single item does not fit."""
        done: list[Vectors] = []
        start = 0
        while start < len(items):
            part = items[start : start + self._ceiling.now]
            try:
                done.append(self._inner.embed(part))
            except ModelUnavailable as exc:
                if len(part) == 1 or exc.slug != "model-out-of-memory":
                    raise
                self._ceiling.ran_out(len(part))
                _log.warning("out of memory on %d inputs; batches of %d from now on", len(part), self._ceiling.now)
            else:
                self._ceiling.fitted(len(part))
                start += len(part)
        return np.concatenate(done)
