"""Thumbnails, always encoded anew: no metadata or hidden content of the original file survives in them."""

from io import BytesIO
from typing import Final

from PIL import Image

THUMBNAIL_MEDIA_TYPE: Final = "image/webp"
_QUALITY: Final = 80


def thumbnail(image: Image.Image, edge_px: int) -> bytes:
    """A WebP whose longer side is at most `edge_px`, of an RGB image from `decode`. Never enlarges."""
    scale = min(1.0, edge_px / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    encoded = BytesIO()
    small.save(encoded, "WEBP", quality=_QUALITY, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return encoded.getvalue()
