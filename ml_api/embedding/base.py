"""The contracts of embedding: preprocessing in the caller's thread, and beside it one forward pass for many.

They are two parts, so that request threads tokenise and normalise side by side while a single thread owns the model, that batches
and remembered vectors are about the pass alone, and that what cannot be prepared never joins anybody else's batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from ml_api.errors import MlApiError
from ml_api.images.fit import Fit, RgbPixels
from ml_api.records import ModelInfo, Vectors
from ml_api.vocabulary import Modality


@dataclass(frozen=True, slots=True)
class Prepared:
    """One input, ready for the forward pass.

    `features` is int64 token ids of shape (tokens,) for text, float32 pixels of shape (3, height, width) for an image.
    """

    modality: Modality
    features: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    truncated: bool = False
    """Whether text was cut to the model's context length."""


AT_ONCE: Final = 64
"""Inputs of one caller that wait for the model at once, at most: so many more do not hold others up."""


class Preprocessor(Protocol):
    """The part before the forward pass, which needs no weights. Every method may be called from any thread."""

    @property
    def fit(self) -> Fit:
        """What the model sees of a picture. Applied where the picture is decoded."""
        ...

    def prepare_text(self, text: str) -> Prepared:
        """Tokenise. `text` is only ever text: nothing is fetched or opened, special tokens in it have no power."""
        ...

    def prepare_image(self, pixels: RgbPixels) -> Prepared:
        """Normalise what `fit` made of a picture as the model's own processor does."""
        ...


class Encoder(Protocol):
    """The forward pass: embeds text and images into one space. Every method may be called from any thread."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def concurrency(self) -> int:
        """How many calls of `embed` at once make the most of what it runs on."""
        ...

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """One forward pass over at least one item, all of one modality.

        Raises ModelOutOfMemory, NonFiniteVector, Overloaded if it is computed by a server whose queue is full, and ModelUnavailable
        for any other failure.
        """
        ...

    def close(self) -> None:
        """Release what it holds; nothing can be embedded any more. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector, of shape (dim,), and where its time went: waiting for the model, and in it."""

    vector: npt.NDArray[np.float32]
    queue_s: float
    embed_s: float
    batch_size: int = 1
    """Inputs of its pass, this one included; 0 if it needed none."""


class Embedder(Protocol):
    """An encoder shared by many callers, however their inputs are batched. `BatchingEncoder` is one."""

    @property
    def model(self) -> ModelInfo: ...

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """Raises DeadlineExceeded after `timeout_s`, and as `Encoder.embed` does."""
        ...

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        """Inputs of either modality that somebody waits for together. In the place of one that failed is the error that
        `Encoder.embed` raises for it.

        Those over AT_ONCE are taken from `items` while the model has earlier ones, so that what prepares them may be lazy.
        Raises DeadlineExceeded if they are not all embedded after `timeout_s`, and what `items` raises.
        """
        ...

    @property
    def concurrency(self) -> int:
        """How many calls of `embed_bulk` at once make the most of the model."""
        ...

    def embed_bulk(self, items: Sequence[Prepared]) -> Vectors:
        """Embed what nobody waits for, behind what somebody waits for. Takes as long as it takes, unless the model does nothing.

        At least one item, all of one modality. Raises as `Encoder.embed` does, for the first item that failed.
        """
        ...

    def ping(self) -> None:
        """Raise ModelUnavailable if nothing more can be embedded."""
        ...

    def close(self) -> None:
        """Finish what is in the model, answer what waits, release everything. Safe to call twice."""
        ...
