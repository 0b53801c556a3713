"""The contract of a decoder: image bytes of strangers in, a small safe picture out, within bounds of time and memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ml_api.deadline import Deadline
from ml_api.images.cropping import Crop
from ml_api.images.decoding import ImageLimits, decode
from ml_api.images.exif import taken
from ml_api.images.fit import Fit, RgbPixels, thumbnail
from ml_api.images.perceptual import perceptual_hash


@dataclass(frozen=True, slots=True)
class FittedImage:
    """What a model sees of an image, and what its file was."""

    pixels: RgbPixels
    """As the `Fit` that was asked for makes them, upright, on white."""
    format: str
    """A key of MEDIA_TYPES."""
    width: int
    """Pixels of the whole image as displayed, EXIF orientation applied."""
    height: int
    phash: str
    """Its perceptual hash (`images.perceptual`)."""


class Decoder(Protocol):
    """Every method may be called from any thread. A `deadline` is a request's; without one nobody waits, and requests go first."""

    @property
    def limits(self) -> ImageLimits: ...

    def decode(self, data: bytes, fit: Fit, deadline: Deadline | None = None, crop: Crop | None = None) -> FittedImage:
        """`fit` of what `images.decode` gives for it, or for the part of it that `crop` names.

        Raises InvalidInput for what the file is, TooCostly if decoding it takes too much time or memory, Overloaded, Unavailable,
        DeadlineExceeded.
        """
        ...

    def notes(self, data: bytes) -> Mapping[str, Any]:
        """What the camera noted in the file (`exif.taken`), if that is wanted here. Raises nothing."""
        ...

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        """`images.thumbnail` of the decoded image. Raises as `decode` does."""
        ...

    def close(self) -> None:
        """Release what it holds. Safe to call twice."""
        ...


class InlineDecoder:
    """Decodes in the caller's thread, unbounded in time and memory: for tests and for files of one's own making."""

    def __init__(self, limits: ImageLimits, *, exif: bool = False) -> None:
        """`exif` says that what cameras note is wanted."""
        self.limits = limits
        self._exif = exif

    def decode(
        self,
        data: bytes,
        fit: Fit,
        deadline: Deadline | None = None,  # noqa: ARG002 - nobody waits
        crop: Crop | None = None,
    ) -> FittedImage:
        decoded = decode(data, self.limits, for_edge_px=fit.edge_px, crop=crop)
        pixels, phash = fit.apply(decoded.image), perceptual_hash(decoded.image)
        return FittedImage(pixels, decoded.format, decoded.width, decoded.height, phash)

    def notes(self, data: bytes) -> Mapping[str, Any]:
        return taken(data) if self._exif else {}

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:  # noqa: ARG002 - as above
        return thumbnail(decode(data, self.limits, for_edge_px=edge_px).image, edge_px)

    def close(self) -> None:
        pass
