"""What stands before an encoder and leaves its preparing alone: said once, for all of them."""

from typing import Generic, TypeVar

from PIL import Image

from ml_api.embedding.base import Embedder, Encoder, Prepared, Preparer
from ml_api.records import ModelInfo

Inner = TypeVar("Inner", bound=Encoder | Embedder)


class PreparedBy:
    """A `Preparer` that hands everything to another."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer

    @property
    def image_edge_px(self) -> int:
        return self._preparer.image_edge_px

    def prepare_text(self, text: str) -> Prepared:
        return self._preparer.prepare_text(text)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return self._preparer.prepare_image(image)


class Wrapper(PreparedBy, Generic[Inner]):
    """Prepares as what it stands before does, and is of the same model. Owns it: `close` closes both."""

    def __init__(self, inner: Inner) -> None:
        super().__init__(inner)
        self._inner = inner

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    def close(self) -> None:
        self._inner.close()
