"""TIFF: tifffile reads the header, libvips the pixels if it reads them correctly; tifffile and Pillow read the rest.

The header also tells whether a band beyond the colours is alpha, which libvips does not.
"""

import logging
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from ml_api.images import pixels
from ml_api.images.decoders import vips
from ml_api.images.decoders.base import Bands, Opened, reduced
from ml_api.images.decoders.pillow import open_with_pillow
from ml_api.images.formats import not_read

_COLOURS: Final = {0: 1, 1: 1, 2: 3, 3: 3, 4: 1, 5: 4, 6: 3, 8: 3}
"""Number of colour bands by PhotometricInterpretation; a palette yields three. TIFF 6.0, section 8."""
_WHITE_IS_ZERO: Final = 0
_INKS: Final = 5
_ALPHA: Final = frozenset({1, 2})
"""Values of ExtraSamples that mean alpha (premultiplied, straight). 0 is "unspecified": Photoshop's channels, infrared."""
_PREMULTIPLIED: Final = 1
_INVERTED: Final = frozenset({"uchar", "ushort", "uint"})
"""Types for which libvips inverts images with white as zero."""
_VIPS_BITS: Final = frozenset({1, 2, 4, 8, 16, 32})
_PILLOWS_COMPRESSIONS: Final = frozenset({50_000, 50_001})
"""Zstandard and WebP, which the libtiff in libvips's wheel lacks."""
_FLOAT: Final = 3
_SEPARATE: Final = 2
_RAW: Final = frozenset({32_803, 34_892})
"""Colour filter array and linear raw: sensor data that are not developed. DNG 1.7."""
_MAX_BANDS: Final = 64
"""An image of 40 x 32 pixels may declare 32,000 bands and take seconds."""
_GREY_AND_ALPHA: Final = 2
_HALF: Final = 16
_FULL_WORD: Final = 32
_PLAIN_LAB: Final = (8, 3, 8)
"""Photometric interpretation, bands, bits."""


def open_tiff(data: bytes, edge_px: int | None) -> Opened:
    """The first page. Raises what the three libraries raise."""
    import tifffile  # 40 ms

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # warnings about unusual files; errors are raised
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        if not (isinstance(page.imagewidth, int) and isinstance(page.imagelength, int)) or page.samplesperpixel > _MAX_BANDS:
            raise ValueError("no picture")
        if int(page.photometric) in _RAW:
            raise not_read("a raw photograph (DNG)")
        colours = _COLOURS.get(int(page.photometric), page.samplesperpixel)
        alpha = next((colours + index for index, kind in enumerate(page.extrasamples) if kind in _ALPHA), None)
        if not _right_in_vips(page):
            return _open_with_tifffile(page, Bands(colours, alpha, negative=int(page.photometric) == _WHITE_IS_ZERO), edge_px)
    plain_lab = (int(page.photometric), page.samplesperpixel, page.bitspersample) == _PLAIN_LAB
    if plain_lab or page.bitspersample not in _VIPS_BITS or int(page.compression) in _PILLOWS_COMPRESSIONS:
        return open_with_pillow("TIFF", data, edge_px)
    image = vips.load("TIFF", data)
    negative = int(page.photometric) == _WHITE_IS_ZERO and image.format not in _INVERTED
    return vips.opened(image, Bands(colours, alpha, negative), edge_px, held=_held_pixels(page))


def _held_pixels(page: Any) -> int:
    """Number of pixels in memory at once: a strip or a row of tiles; the whole image twice if it has planes."""
    if page.samplesperpixel > 1 and int(page.planarconfig) == _SEPARATE:
        return int(page.imagewidth * page.imagelength) * 2
    if page.is_tiled:
        return int(max(page.imagewidth, page.tilewidth) * page.tilelength)
    return int(page.imagewidth * min(page.rowsperstrip, page.imagelength))


def _right_in_vips(page: Any) -> bool:
    """False for files that libvips 8.18 refuses (64 bits, planes in tiles) or decodes wrongly, as the tests' matrix found."""
    floats = int(page.sampleformat) == _FLOAT
    bits, bands = page.bitspersample, page.samplesperpixel
    if (
        bands > 1
        and int(page.planarconfig) == _SEPARATE
        and (page.is_tiled or bands == _GREY_AND_ALPHA or (floats and bits == _HALF))
    ):
        return False
    return bits <= _FULL_WORD and not (_PREMULTIPLIED in page.extrasamples and (floats or bits == _FULL_WORD))


def _open_with_tifffile(page: Any, bands: Bands, edge_px: int | None) -> Opened:
    tag = page.tags.get("Orientation")
    orientation = 1 if tag is None else int(tag.value)
    inks = int(page.photometric) == _INKS

    def rgb() -> Image.Image:
        separate = page.asarray(maxworkers=1, squeeze=False)[:, 0]  # planes, height, width, bands: either one plane or one band
        samples = np.concatenate(separate, axis=-1)
        values = samples[..., : bands.colours]
        if bands.alpha is not None and bands.alpha < samples.shape[-1]:
            premultiplied = page.extrasamples[bands.alpha - bands.colours] == _PREMULTIPLIED
            values = pixels.over_white(values, samples[..., bands.alpha], premultiplied=premultiplied)
        return reduced(pixels.from_inks(values) if inks else pixels.from_values(values, negative=bands.negative), edge_px)

    count = page.imagewidth * page.imagelength * page.samplesperpixel
    return Opened(page.imagewidth, page.imagelength, rgb, lambda: orientation, count * (page.bitspersample // 4 + 20))
