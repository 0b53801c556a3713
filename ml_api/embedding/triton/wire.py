"""Defines the tensors, names and limits of calls to Triton, for both the client (`encoder`) and the server (`serving`).

A CLIP is two models on the server, `NAME_text` and `NAME_image`: a batch there has one modality, so each model has its own queue.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.embedding.base import Prepared
from ml_api.embedding.preprocessing import pad, stack
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.vocabulary import Modality

Arrays = dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float32]]
"""Tensors by name; the first dimension counts inputs."""

INPUT_IDS: Final = "input_ids"
"""int64, (n, tokens)."""
ATTENTION_MASK: Final = "attention_mask"
"""int64, (n, tokens): 1 for a token, 0 for padding after the last one."""
PIXEL_VALUES: Final = "pixel_values"
"""float32, (n, 3, edge, edge)."""
EMBEDDING: Final = "embedding"
"""float32, (n, dim), L2-normalised."""
ABOUT: Final = "about"
"""uint8, (n, length): JSON text with the `device` and `precision` that the server chose. Computed only if asked for."""

MODEL_ID: Final = "model_id"
"""A parameter of the server's model and of every request. They have to be equal, as vectors of different models cannot be
compared."""
CLIP_FOLDER: Final = "clip"
"""The folder of the model's files in the repository, beside the code."""
TEXT_FOLDER: Final = "text"
"""The folder of the text encoder's files, if there is one beside the model; in `NAME_text` only."""
MAX_BATCH: Final = 64
"""The maximum batch size that is written to the repository."""
TIMEOUT_S: Final = 60.0
"""The time limit of a call, including the time in the server's queue; the server drops older requests."""


def model_name(name: str, modality: Modality) -> str:
    return f"{name}_{modality}"


def embeds(pretrained: PretrainedModel, modality: Modality) -> PretrainedModel:
    """The model that embeds `modality`, whose id the server's model and every request name."""
    return pretrained.text if pretrained.text and modality == "text" else pretrained


def to_arrays(items: Sequence[Prepared]) -> Arrays:
    """Stack items, at least one, all of one modality, to the tensors of a request."""
    return {**stack(items)} if items[0].modality == "image" else {**pad(items)}


def to_items(arrays: Mapping[str, npt.NDArray[np.int64] | npt.NDArray[np.float32]]) -> list[Prepared]:
    """The inverse of `to_arrays`."""
    if PIXEL_VALUES in arrays:
        return [Prepared("image", pixels) for pixels in arrays[PIXEL_VALUES]]
    rows = zip(arrays[INPUT_IDS], arrays[ATTENTION_MASK], strict=True)
    return [Prepared("text", ids[: int(mask.sum())]) for ids, mask in rows]


def input_names(modality: Modality) -> tuple[str, ...]:
    return (PIXEL_VALUES,) if modality == "image" else (INPUT_IDS, ATTENTION_MASK)
