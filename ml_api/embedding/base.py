"""The contracts of embedding: `Preprocessor` runs in the caller's thread, `Encoder` is the forward pass, and `Embedder` shares an
encoder among many callers.

Preprocessing and the forward pass are separate, so that request threads tokenise and normalise in parallel while few threads own
the model, that batching and caching concern the forward pass alone, and that an invalid input never joins a batch of other callers.
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


MAX_IN_FLIGHT: Final = 64
"""The most inputs of one caller that wait for the model at once, so that a caller with many does not hold others up."""


class Preprocessor(Protocol):
    """Turns text and pixels into a model's input features, without its weights. Every method may be called from any thread."""

    @property
    def fit(self) -> Fit:
        """How pictures are scaled for the model. It is applied where the picture is decoded."""
        ...

    def prepare_text(self, text: str) -> Prepared:
        """Tokenise `text`, which is only ever text: nothing is fetched or opened, and special tokens in it have no effect.

        Raises InvalidQuery for blank text and for invalid Unicode.
        """
        ...

    def prepare_image(self, pixels: RgbPixels) -> Prepared:
        """Normalise pixels that `fit` returned, as the model's own processor does."""
        ...


class Encoder(Protocol):
    """The forward pass: embeds text and images into one space. Every method may be called from any thread."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def concurrency(self) -> int:
        """How many concurrent calls of `embed` give the highest throughput."""
        ...

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """Embed at least one item, all of one modality, in one forward pass. Returns shape (items, dim), float32, L2-normalised.

        Raises ModelOutOfMemory, NonFiniteVector, Overloaded if a server computes it whose queue is full, and ModelUnavailable for
        any other failure.
        """
        ...

    def close(self) -> None:
        """Release all resources; nothing can be embedded any more. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector, of shape (dim,), with the time it took: `queue_s` waiting for the model, `embed_s` in the forward pass."""

    vector: npt.NDArray[np.float32]
    queue_s: float
    embed_s: float
    batch_size: int = 1
    """Number of inputs in its forward pass, this one included; 0 if the vector was cached."""


class Embedder(Protocol):
    """An encoder shared by many callers. Implementations are `BatchingEncoder` and, around it, `CachingEmbedder`."""

    @property
    def model(self) -> ModelInfo: ...

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """Embed one input. Raises DeadlineExceeded after `timeout_s`, and as `Encoder.embed` does."""
        ...

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        """Embed inputs of either modality; returns one entry for each, in order: for an input that failed, the error that
        `Encoder.embed` raises for it.

        At most MAX_IN_FLIGHT are taken from `items` before the first of them is embedded, so `items` may prepare them lazily.
        Raises DeadlineExceeded if not all are embedded after `timeout_s`, and what `items` raises.
        """
        ...

    @property
    def concurrency(self) -> int:
        """How many concurrent calls of `embed_bulk` give the highest throughput."""
        ...

    def embed_bulk(self, items: Sequence[Prepared]) -> Vectors:
        """Embed at least one item, all of one modality, for background work, at lower priority than `embed_one` and `embed_all`.

        There is no deadline. Raises as `Encoder.embed` does, for the first item that failed, and ModelUnavailable if the model
        makes no progress.
        """
        ...

    def ping(self) -> None:
        """Raise ModelUnavailable if nothing more can be embedded."""
        ...

    def close(self) -> None:
        """Finish the batches in the model, refuse the inputs that wait, and release everything. Safe to call twice."""
        ...
