"""The contract of a decoder: image bytes of strangers in, a small safe picture out, within bounds of time and memory."""

from typing import Protocol

from ml_api.deadline import Deadline
from ml_api.images.decoding import DecodedImage, ImageLimits, decode
from ml_api.images.thumbnails import thumbnail


class Decoder(Protocol):
    """Every method may be called from any thread. A `deadline` is a request's; without one nobody waits, and requests go first."""

    @property
    def limits(self) -> ImageLimits: ...

    def decode(self, data: bytes, for_edge_px: int, deadline: Deadline | None = None) -> DecodedImage:
        """As `images.decode`. Raises InvalidInput for what the file is, TooCostly if decoding it takes too much time or memory,
        Overloaded, Unavailable, DeadlineExceeded.
        """
        ...

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        """As `images.thumbnail` of the decoded image. Raises as `decode` does."""
        ...

    def close(self) -> None:
        """Release what it holds. Safe to call twice."""
        ...


class InlineDecoder:
    """Decodes in the caller's thread, unbounded in time and memory: for tests and for files of one's own making."""

    def __init__(self, limits: ImageLimits) -> None:
        self.limits = limits

    def decode(self, data: bytes, for_edge_px: int, deadline: Deadline | None = None) -> DecodedImage:  # noqa: ARG002 - nobody waits
        return decode(data, self.limits, for_edge_px=for_edge_px)

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        return thumbnail(self.decode(data, edge_px, deadline).image, edge_px)

    def close(self) -> None:
        pass
