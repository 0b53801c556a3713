"""Embeds with a CLIP on a Triton server, as an `Encoder`."""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ml_api.embedding.base import Prepared, Preprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.embedding.triton import wire
from ml_api.embedding.triton.connection import Connection, Endpoint
from ml_api.errors import ConfigError, ModelUnavailable, Unavailable
from ml_api.records import ModelInfo, Vectors
from ml_api.vocabulary import MODALITIES, Modality

NORM_TOLERANCE: Final = 1e-3
_CONCURRENCY: Final = 4
"""Several calls at once, so that Triton has the next batch while it computes one, and requests to batch dynamically."""


class TritonEncoder:
    """An `Encoder` whose vectors are always of `pretrained`, even if the server loads another model later: calls then fail."""

    def __init__(
        self, endpoint: Endpoint, pretrained: PretrainedModel, preprocessor: Preprocessor, *, timeout_s: float = wire.TIMEOUT_S
    ) -> None:
        """Connect, compare the models, and embed a probe of each modality. Raises ConfigError that names the ways out."""
        self._endpoint = endpoint
        self._connection = Connection(endpoint, timeout_s)
        self._models = {modality: wire.embeds(pretrained, modality) for modality in MODALITIES}
        self._dim = pretrained.dim
        try:
            self._max_batch: dict[Modality, int] = {modality: self._check(modality) for modality in MODALITIES}
            about = self._try(preprocessor)
        except Unavailable as exc:
            self.close()
            raise ConfigError(f"ML_API_EMBEDDING_URL: {exc.detail} Start Triton with this model, or name another address") from exc
        except BaseException:
            self.close()
            raise
        self._info = pretrained.info(about["device"], about["precision"])

    def _check(self, modality: Modality) -> int:
        """The server's maximum batch size. Raises ConfigError if its model is not the configured one."""
        config = self._connection.config(modality)
        where = f"ML_API_EMBEDDING_URL: the model {config.name} at {self._endpoint.address}"
        served = config.parameters[wire.MODEL_ID].string_value if wire.MODEL_ID in config.parameters else None
        if served is None:
            raise ConfigError(f"{where} does not say what it is; serve one written by `python -m ml_api triton-repository DIR`")
        wanted = self._models[modality]
        if served != wanted.model_id:
            raise ConfigError(
                f"{where} is {served}, but {wanted.setting} is {wanted.model_id}, "
                "and vectors of different models cannot be compared. "
                f"Set {wanted.setting} to the model that is served, or serve this one: `python -m ml_api triton-repository DIR`"
            )
        return max(1, int(config.max_batch_size))

    def _try(self, preprocessor: Preprocessor) -> dict[str, str]:
        """Embed one input of each modality; return the `device` and `precision` of the server."""
        edge = preprocessor.fit.edge_px
        for item in (preprocessor.prepare_text("ready?"), preprocessor.prepare_image(np.zeros((edge, edge, 3), dtype=np.uint8))):
            outputs = self._connection.infer([item], self._models[item.modality].model_id, wire.EMBEDDING, wire.ABOUT)
            self._checked(outputs[wire.EMBEDDING], 1)
        about: dict[str, str] = json.loads(outputs[wire.ABOUT].tobytes())
        return about

    @property
    def model(self) -> ModelInfo:
        """`device` and `precision` are the server's."""
        return self._info

    @property
    def concurrency(self) -> int:
        return _CONCURRENCY

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """See `Encoder.embed`. Items beyond the server's maximum batch size take several calls."""
        most = self._max_batch[items[0].modality]
        return np.concatenate([self._pass(items[start : start + most]) for start in range(0, len(items), most)])

    def _pass(self, items: Sequence[Prepared]) -> Vectors:
        model_id = self._models[items[0].modality].model_id
        return self._checked(self._connection.infer(items, model_id, wire.EMBEDDING)[wire.EMBEDDING], len(items))

    def _checked(self, vectors: Any, count: int) -> Vectors:
        if vectors is None or vectors.shape != (count, self._dim) or vectors.dtype != np.float32:
            raise ModelUnavailable(f"Triton at {self._endpoint.address} did not answer with {count} x {self._dim} numbers.")
        norms = np.linalg.norm(vectors, axis=1)
        if not (np.abs(norms - 1) <= NORM_TOLERANCE).all():  # true for NaN, too
            raise ModelUnavailable(f"Triton at {self._endpoint.address} answered with vectors that are not of length one.")
        checked: Vectors = vectors
        return checked

    def close(self) -> None:
        self._connection.close()
