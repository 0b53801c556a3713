"""The contract of a decoder, which turns untrusted image files into small RGB pictures within bounds of time and memory.

Searches by image, syncs, uploads and thumbnails decode through it. `InlineDecoder` is the stand-in for tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ml_api.deadline import Deadline
from ml_api.images.cropping import Crop
from ml_api.images.decoding import ImageLimits, decode
from ml_api.images.exif import read_exif
from ml_api.images.fit import Fit, RgbPixels, thumbnail
from ml_api.images.perceptual import perceptual_hash


@dataclass(frozen=True, slots=True)
class FittedImage:
    """The pixels of an image that a model sees, with properties of its file."""

    pixels: RgbPixels
    """What the requested `Fit` returned for the upright picture on white."""
    format: str
    """A key of MEDIA_TYPES."""
    width: int
    """Pixels of the whole image as displayed, EXIF orientation applied."""
    height: int
    phash: str
    """Its perceptual hash (`images.perceptual`)."""


class Decoder(Protocol):
    """Every method may be called from any thread. A call with a `deadline` is made for a request, and goes before those without
    one, which are made in the background."""

    @property
    def limits(self) -> ImageLimits: ...

    def decode(self, data: bytes, fit: Fit, deadline: Deadline | None = None, crop: Crop | None = None) -> FittedImage:
        """Decode the file as `images.decode` does, cut it to `crop`, and apply `fit`.

        Raises InvalidInput if the file is not accepted, TooCostly if decoding it takes too much time or memory, Overloaded,
        InsufficientStorage if it is over the system's limit for the size of files, Unavailable, DeadlineExceeded.
        """
        ...

    def exif_metadata(self, data: bytes) -> Mapping[str, Any]:
        """The file's Exif fields as metadata (`exif.read_exif`); empty if this decoder is set up without them. Raises nothing."""
        ...

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        """`images.thumbnail` of the decoded image. Raises as `decode` does."""
        ...

    def close(self) -> None:
        """Release all resources. Safe to call twice."""
        ...


class InlineDecoder:
    """Decodes in the caller's thread, unbounded in time and memory: for tests and for trusted files only."""

    def __init__(self, limits: ImageLimits, *, exif: bool = False) -> None:
        """With `exif`, `exif_metadata` reads Exif fields."""
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

    def exif_metadata(self, data: bytes) -> Mapping[str, Any]:
        return read_exif(data) if self._exif else {}

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:  # noqa: ARG002 - as above
        return thumbnail(decode(data, self.limits, for_edge_px=edge_px).image, edge_px)

    def close(self) -> None:
        pass
