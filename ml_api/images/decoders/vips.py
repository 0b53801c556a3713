"""Decodes with libvips, which streams a file through a few rows of memory and reads every pixel type as it is stored.

Loaders are chosen by name and not guessed from the bytes, so that a file reaches no other loader.
"""

import logging
import os
from functools import cache
from typing import Any, Final

import numpy as np
from PIL import Image

from ml_api.images import pixels
from ml_api.images.decoders.base import Bands, Opened, reduction

_LOADERS: Final = {
    "PNG": "pngload_buffer",
    "WebP": "webpload_buffer",
    "AVIF": "heifload_buffer",
    "JPEG": "jpegload_buffer",
    "TIFF": "tiffload_buffer",
}
_STRICT: Final = {"JPEG": "warning"}
"""The level at which libvips fails, by default `error`. libjpeg only warns about missing data, and fills them with grey."""
_COLOURS: Final = {"b-w": 1, "grey16": 1, "cmyk": 4}
_TYPES: Final = {
    "uchar": "u1",
    "char": "i1",
    "ushort": "u2",
    "short": "i2",
    "uint": "u4",
    "int": "i4",
    "float": "f4",
    "double": "f8",
}
_FULL_SCALE: Final = {"uchar": 255, "ushort": 65535, "char": 127, "short": 32767, "int": 2**31 - 1, "uint": 2**32 - 1}
"""The value of opaque and of white in each integer type of libvips; it is 1 in floats."""
_HELD_BYTES: Final = {"uchar": 3, "char": 3, "ushort": 5, "short": 5, "uint": 9, "int": 9, "float": 9, "double": 17}
"""Bytes in memory for each sample: the file's and libvips's copy."""
_COPIES: Final = {"AVIF": 4}
_LINES_BYTES: Final = 64 * 2**20
"""Memory for streaming a wide image."""
_NO_NUMBER: Final = 1e30
"""Larger values are infinities or "no data" of rasters; NaN fails the comparison, too."""


def open_with_vips(name: str, data: bytes, edge_px: int | None) -> Opened:
    """Open a file whose alpha band, if it has one, is the last. Raises pyvips.Error."""
    image = load(name, data)
    colours = _COLOURS.get(image.interpretation, 3)
    alpha = colours if image.bands > colours else None
    whole = name != "PNG" or image.get_typeof("interlaced") != 0
    held = image.width * image.height * _COPIES.get(name, 1) if whole else 0
    return opened(image, Bands(colours, alpha), edge_px, held=held)


def load(name: str, data: bytes) -> Any:
    """The lazy image, its header read. Raises pyvips.Error."""
    loader = getattr(_vips().Image, _LOADERS[name])
    return loader(data, access="sequential", fail_on=_STRICT.get(name, "error"))


def complete(name: str, data: bytes) -> bytes:
    """`data`, if every pixel is in it. Raises pyvips.Error."""
    load(name, data).avg()
    return data


def opened(image: Any, bands: Bands, edge_px: int | None, *, held: int) -> Opened:
    """Wrap a lazy image. `held` is the number of pixels that the loader keeps in memory at once."""
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    factor = reduction(image.width, image.height, edge_px)

    def rgb() -> Image.Image:
        flat = _on_white(image, bands)
        if factor > 1:
            flat = flat.shrink(factor, factor, ceil=True)
        shape = (flat.height, flat.width, flat.bands)
        values = np.frombuffer(flat.write_to_memory(), _TYPES[flat.format]).reshape(shape)
        return pixels.from_inks(values) if image.interpretation == "cmyk" else pixels.from_values(values, negative=bands.negative)

    count, pixel_bytes = image.width * image.height, image.bands * _HELD_BYTES[image.format]
    result_bytes = count // factor**2 * len(pixels.WHITE) * 5
    lines_bytes = min(_LINES_BYTES, count * pixel_bytes)
    return Opened(image.width, image.height, rgb, lambda: orientation, result_bytes + max(lines_bytes, held * pixel_bytes))


def _on_white(image: Any, bands: Bands) -> Any:
    flat = _colours(image, bands.colours)
    if flat.format in {"float", "double"}:
        flat = (flat.abs() < _NO_NUMBER).ifthenelse(flat, 0)
    if bands.alpha is None or bands.alpha >= image.bands:
        return flat
    opacity = image[bands.alpha]
    if image.interpretation == "labs":  # stored in signed 16 bits; the colours have 8 bits by now
        opacity = (opacity.copy(format="ushort") >> 8).cast("uchar")
    white = _FULL_SCALE.get(flat.format, 1)
    if flat.format in {"int", "uint"}:  # blending them overflows
        flat, opacity, white = flat / white, opacity / white, 1
    return flat.bandjoin(opacity).flatten(background=[0 if image.interpretation == "cmyk" else white], max_alpha=white)


def _colours(image: Any, colours: int) -> Any:
    if image.coding == "labq":
        return image.colourspace("srgb")
    flat = image.extract_band(0, n=colours) if image.bands > colours else image
    return flat.copy(interpretation="labs").colourspace("srgb") if image.interpretation == "labs" else flat


@cache
def _vips() -> Any:
    """The module pyvips, loaded at the first image and not at import: libvips then reads its settings from the environment."""
    os.environ.setdefault("VIPS_CONCURRENCY", "1")  # concurrent requests use all cores already; threads in each only add overhead
    import pyvips

    pyvips.cache_set_max(0)  # nothing of an image is kept for the next one
    logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # warnings about damaged files; errors are raised
    return pyvips
