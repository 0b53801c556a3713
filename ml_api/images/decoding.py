"""Decodes the bytes of an image file to an RGB image. Limits are checked with the header, before a decoder allocates pixels.

Whatever a decoder raises becomes InvalidImage with a message of this service: a library's message may hold addresses and paths.
"""

from dataclasses import dataclass
from typing import Final

from PIL import Image

from ml_api.errors import InvalidImage, MlApiError, TooCostly, TooLarge
from ml_api.images import decoders, pixels
from ml_api.images.cropping import Crop
from ml_api.images.formats import require_format, webp_canvas

_OUT_OF_MEMORY: Final = ("out of memory", "memory allocation", "insufficient memory", "enough memory")
"""Parts of the messages of libraries that are out of memory and do not raise MemoryError."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Upper limits of an image: its file in bytes, its picture in pixels (width x height), its longer side divided by its
    shorter."""

    max_bytes: int
    max_pixels: int
    max_aspect: float
    max_memory_bytes: int | None = None
    """The memory that decoding may allocate; None for no limit."""

    def check_bytes(self, size: int) -> None:
        """Raises TooLarge."""
        if size > self.max_bytes:
            raise TooLarge(f"The image file has {size:,} bytes; at most {self.max_bytes:,} are accepted (ML_API_MAX_UPLOAD_BYTES).")

    def check_size(self, width: int, height: int) -> None:
        """Raises InvalidImage: `image-too-many-pixels` or `image-too-elongated`."""
        if width * height > self.max_pixels:
            raise InvalidImage(
                f"The image has {width:,} x {height:,} pixels; at most {self.max_pixels:,} in all are accepted "
                "(ML_API_MAX_IMAGE_PIXELS).",
                code="image-too-many-pixels",
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise InvalidImage(
                f"The image is {width:,} x {height:,} pixels, too elongated; "
                f"its longer side may be at most {self.max_aspect:g} times its shorter (ML_API_MAX_IMAGE_ASPECT).",
                code="image-too-elongated",
            )

    def check_memory(self, needed: int) -> None:
        """Raises TooCostly with the number of bytes `needed`."""
        if self.max_memory_bytes is not None and needed > self.max_memory_bytes:
            raise TooCostly(
                f"Decoding the image takes some {needed / 2**20:,.0f} MiB of memory, of {self.max_memory_bytes / 2**20:,.0f} MiB",
                needed_bytes=needed,
            )


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image ready to be embedded, with properties of its file."""

    image: Image.Image
    """RGB, upright, without metadata; smaller than `width` x `height` if reduced."""
    format: str
    """A key of MEDIA_TYPES."""
    width: int
    """Pixels of the whole image as displayed, EXIF orientation applied."""
    height: int


def decode(data: bytes, limits: ImageLimits, *, for_edge_px: int | None = None, crop: Crop | None = None) -> DecodedImage:
    """Return the first frame of an image file, upright, on white, as RGB. Thread-safe.

    `for_edge_px` allows a big image to be reduced, with both sides at least twice that many pixels long: enough for an encoder or
    a thumbnail of that edge. A JPEG is then not even decoded in full (49 megapixels: 0.5 s, reduced 0.2 s). With `crop` the result
    is that part alone, reduced no further than its own sides allow.

    Raises InvalidCrop, TooLarge (file size), InvalidImage (`image-empty`, `image-format`, `image-too-many-pixels`,
    `image-too-elongated`, `image-truncated`, `image-damaged`) or TooCostly (memory).
    """
    if not data:
        raise InvalidImage("The image is empty.", code="image-empty")
    limits.check_bytes(len(data))
    name = require_format(data)
    if name == "WebP" and (canvas := webp_canvas(data)) is not None and min(canvas) > 0:
        limits.check_size(*canvas)
    failure: Exception | None = None
    edge_px = for_edge_px if crop is None or for_edge_px is None else _edge_px(name, data, for_edge_px, crop)
    for open_ in decoders.attempts(name, data, edge_px):
        try:
            return _decode(open_, name, limits, crop)
        except (MlApiError, MemoryError):
            raise
        except Exception as exc:  # noqa: BLE001 - decoders raise a dozen unrelated types, down to SyntaxError and struct.error
            failure = failure or exc
    raise _undecodable(name, failure) from failure


def _edge_px(name: str, data: bytes, edge_px: int, crop: Crop) -> int | None:
    """The edge to decode the whole picture for; None if its header cannot be read, which the decoding then reports."""
    try:
        header = next(decoders.attempts(name, data, None))()
    except Exception:  # noqa: BLE001 - as below
        return None
    return crop.edge_px(edge_px, header.width, header.height)


def _decode(open_: decoders.Open, name: str, limits: ImageLimits, crop: Crop | None) -> DecodedImage:
    opened = open_()
    width, height = opened.width, opened.height
    limits.check_size(width, height)
    limits.check_memory(opened.memory_bytes)
    image = opened.rgb()
    orientation = opened.orientation()
    if orientation in pixels.SIDEWAYS:
        width, height = height, width
    upright = pixels.upright(image, orientation)
    # Nothing of the file remains: neither metadata nor what Pillow's file classes hold.
    image = upright if type(upright) is Image.Image else upright.copy()
    if crop is not None:
        image = crop.of(image, width, height)
    image.info = {}
    return DecodedImage(image, name, width, height)


def _undecodable(name: str, exc: Exception | None) -> InvalidImage:
    if any(words in str(exc).lower() for words in _OUT_OF_MEMORY):
        return TooCostly(f"Decoding the {name} file takes more memory than is allowed")
    if "truncated" in str(exc).lower():
        return InvalidImage(f"The {name} file ends before the image does; it may have been cut off.", code="image-truncated")
    return InvalidImage(f"The {name} file is damaged or cut off and cannot be decoded.", code="image-damaged")
