"""A model's tokenizer and its way with pixels, and the two files in which they are kept beside its converted weights."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

from ml_api.embedding.base import Prepared
from ml_api.embedding.preprocessing.pixels import Normalisation, Pixels
from ml_api.embedding.preprocessing.text import Tokenizer
from ml_api.images.fit import Fit, RgbPixels, Square

_TOKENIZER: Final = "tokenizer.json"
_RECIPE: Final = "preprocessing.json"
_SQUARE: Final = ("edge_px", "shortest_px", "resample")


class PretrainedPreprocessor:
    """A `Preprocessor`, as the model's own processor does it."""

    def __init__(self, tokenizer: Tokenizer, fit: Fit, normalise: Callable[[RgbPixels], Pixels]) -> None:
        self.tokenizer = tokenizer
        self.fit = fit
        self._normalise = normalise

    @property
    def can_be_saved(self) -> bool:
        """Not where the library's own processor is asked for every image."""
        return isinstance(self.fit, Square) and isinstance(self._normalise, Normalisation)

    def prepare_text(self, text: str) -> Prepared:
        """Raises InvalidQuery for text without content or that is not Unicode."""
        return self.tokenizer.prepare(text)

    def prepare_image(self, pixels: RgbPixels) -> Prepared:
        return Prepared("image", self._normalise(pixels))

    def save(self, folder: Path) -> None:
        """Only what `can_be_saved`."""
        assert isinstance(self.fit, Square)
        assert isinstance(self._normalise, Normalisation)
        tokenizer = self.tokenizer
        text = {name: getattr(tokenizer, name) for name in ("max_tokens", "vocabulary", "pad_id", "pad_to")}
        image = asdict(self.fit) | asdict(self._normalise)
        (folder / _TOKENIZER).write_text(tokenizer.definition, encoding="utf-8")
        (folder / _RECIPE).write_text(json.dumps({"text": text, "image": image}), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        kept = json.loads((folder / _RECIPE).read_text(encoding="utf-8"))
        image = kept["image"]
        fit = Square(**{name: image[name] for name in _SQUARE})
        normalise = Normalisation(image["rescale"], tuple(image["mean"]), tuple(image["std"]))
        return cls(Tokenizer((folder / _TOKENIZER).read_text(encoding="utf-8"), **kept["text"]), fit, normalise)
