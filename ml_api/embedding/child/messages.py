"""What parent and child say to each other, pickled: both are this program, over a socket that nobody else holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ml_api.embedding.base import Prepared
from ml_api.embedding.clip import Device, Precision
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.records import ModelInfo, Vectors


@dataclass(frozen=True, slots=True)
class Load:
    """The first thing a child is told."""

    pretrained: PretrainedModel
    device: Device
    precision: Precision
    log_level: str
    environment: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The first thing it says."""

    model: ModelInfo
    concurrency: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Or this, and ends: why it cannot be loaded."""

    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    number: int
    items: Sequence[Prepared]


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request of that number: vectors, or how it failed."""

    number: int
    vectors: Vectors | None
    detail: str = ""
    code: str = ""
    memory: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of a GPU: bytes in tensors, and bytes that torch keeps for them."""
