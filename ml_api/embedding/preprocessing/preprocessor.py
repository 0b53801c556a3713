"""A model's tokenizer and its way with pixels, and the two files in which they are kept beside its converted weights."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import numpy as np
from PIL import Image

from ml_api.embedding.base import Prepared
from ml_api.embedding.preprocessing.pixels import PixelRecipe, Pixels
from ml_api.embedding.preprocessing.text import TextArrays, Tokenizer

_TOKENIZER: Final = "tokenizer.json"
_RECIPE: Final = "preprocessing.json"


class Preprocessor:
    """A `Preparer`."""

    def __init__(self, tokenizer: Tokenizer, pixels: Callable[[Image.Image], Pixels], image_edge_px: int) -> None:
        self.tokenizer = tokenizer
        self.pixels = pixels
        self._image_edge_px = image_edge_px

    @property
    def image_edge_px(self) -> int:
        return self._image_edge_px

    def prepare_text(self, text: str) -> Prepared:
        """Raises InvalidQuery for text without content or that is not Unicode."""
        return self.tokenizer.prepare(text)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return Prepared("image", self.pixels(image))

    def pad(self, items: Sequence[Prepared]) -> TextArrays:
        """Texts as the model takes them; see `Tokenizer.pad`."""
        return self.tokenizer.pad(items)

    @staticmethod
    def stack(items: Sequence[Prepared]) -> dict[str, Pixels]:
        """Images as the model takes them: `pixel_values` of shape (n, 3, edge, edge)."""
        return {"pixel_values": np.stack([np.asarray(item.features, dtype=np.float32) for item in items])}

    def save(self, folder: Path) -> None:
        """Only of one whose pixels are made by a PixelRecipe."""
        assert isinstance(self.pixels, PixelRecipe)
        tokenizer = self.tokenizer
        text = {name: getattr(tokenizer, name) for name in ("max_tokens", "vocabulary", "pad_id", "pad_to")}
        (folder / _TOKENIZER).write_text(tokenizer.definition, encoding="utf-8")
        (folder / _RECIPE).write_text(json.dumps({"text": text, "image": asdict(self.pixels)}), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        kept = json.loads((folder / _RECIPE).read_text(encoding="utf-8"))
        recipe = PixelRecipe(**kept["image"] | {name: tuple(kept["image"][name]) for name in ("mean", "std")})
        return cls(Tokenizer((folder / _TOKENIZER).read_text(encoding="utf-8"), **kept["text"]), recipe, recipe.edge_px)
