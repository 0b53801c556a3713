"""A deterministic stand-in for CLIP, for tests: a preprocessor and an encoder without weights. Colour words lie near pictures of
that colour, and texts that share words near each other.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_api.embedding.base import Prepared
from ml_api.errors import InvalidQuery
from ml_api.images.fit import RgbPixels, Square
from ml_api.records import ModelInfo, Vectors

COLOURS: Final = {
    "red": (220, 30, 30),
    "orange": (240, 140, 20),
    "yellow": (245, 230, 40),
    "green": (40, 160, 50),
    "blue": (40, 70, 210),
    "purple": (130, 50, 160),
    "pink": (245, 150, 190),
    "brown": (120, 75, 40),
    "black": (10, 10, 10),
    "grey": (128, 128, 128),
    "white": (250, 250, 250),
}
"""The words that this encoder understands, and their colours."""

_GRID: Final = 4
_LAYOUT_DIM: Final = _GRID * _GRID * 3
_LAYOUT_WEIGHT: Final = 0.3
"""Small compared with the colour axes, so that texts find pictures by colour, but enough to tell two pictures of one colour
apart."""
_EDGE_PX: Final = 16
_MAX_WORDS: Final = 75


class FakePreprocessor:
    """The `Preprocessor` of `FakeEncoder`."""

    fit = Square(_EDGE_PX, None, Image.Resampling.BOX)

    def prepare_text(self, text: str) -> Prepared:
        """Raises InvalidQuery, as CLIP does, for blank text and lone surrogates."""
        if not text.strip():
            raise InvalidQuery("The text is empty; describe what the images should show.")
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidQuery("The text holds half a character (a lone surrogate) and is not valid Unicode.") from exc
        words = [_word_id(word) for word in re.findall(r"\w+", text.lower()) or [text]]
        return Prepared("text", np.array(words[:_MAX_WORDS], dtype=np.int64), truncated=len(words) > _MAX_WORDS)

    def prepare_image(self, pixels: RgbPixels) -> Prepared:
        return Prepared("image", np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32))


class FakeEncoder:
    """An `Encoder`. Thread-safe, as it holds no state."""

    def __init__(self, *, name: str = "fake", revision: str = "1") -> None:
        self._info = ModelInfo(name, revision, len(COLOURS) + _LAYOUT_DIM, device="cpu", precision="fp32")

    @property
    def model(self) -> ModelInfo:
        return self._info

    @property
    def concurrency(self) -> int:
        return 1

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        embed_one = _text_vector if items[0].modality == "text" else _image_vector
        vectors = np.stack([embed_one(item.features) for item in items])
        normalised: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return normalised

    def close(self) -> None:
        pass


def _word_id(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:7], "big")


_AXES: Final = {_word_id(colour): axis for axis, colour in enumerate(COLOURS)}
_PROTOTYPES: Final = np.array(list(COLOURS.values()), dtype=np.float32)


def _text_vector(words: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    vector = np.zeros(len(COLOURS) + _LAYOUT_DIM)
    for word in words.tolist():
        if word in _AXES:
            vector[_AXES[word]] += 1
        else:
            direction = np.random.default_rng(word).standard_normal(_LAYOUT_DIM)
            vector[len(COLOURS) :] += direction / np.linalg.norm(direction)
    return vector


def _image_vector(features: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    pixels = features.astype(np.float64).reshape(3, -1).T
    nearest = np.argmin(((pixels[:, None, :] - _PROTOTYPES) ** 2).sum(axis=2), axis=1)
    colours = np.bincount(nearest, minlength=len(COLOURS)) / len(pixels)
    cell = _EDGE_PX // _GRID
    layout = features.astype(np.float64).reshape(3, _GRID, cell, _GRID, cell).mean(axis=(2, 4)).ravel() / 255 - 0.5
    return np.concatenate([colours / np.linalg.norm(colours), _LAYOUT_WEIGHT * layout])
