"""Conversion of decoded pixels (palettes, alpha, 16 bits, floats, CMYK) to 8-bit RGB on white."""

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

WHITE: Final = (255, 255, 255)
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""For each EXIF orientation (CIPA DC-008, tag 0x0112), the transposition that makes the image upright."""
SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""

Values = npt.NDArray[Any]
_FULL_SCALES: Final = (255.0, 1023.0, 4095.0, 16_383.0, 65_535.0)
"""The value of white in 8, 10, 12, 14 and 16 bits."""
_HIGHLIGHTS: Final = 16.0
"""Floats up to this are scenes with highlights brighter than white (1); above, they count like integers."""


_quiet: Final = np.errstate(all="ignore")
"""Values outside the range of images (NaN, infinities, 1e300) become black or white without a warning."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow's to RGB: alpha on white, 16-bit and float grey scaled, the rest as Pillow converts it."""
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return from_values(np.atleast_3d(np.asarray(image)))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@_quiet
def from_values(values: Values, *, negative: bool = False) -> Image.Image:
    """Convert (height, width, bands) of any real type to RGB: the first of one or two bands is grey, the first three of more bands
    are the colours. `negative` means that white is zero.
    """
    bands = values[..., 0] if values.shape[-1] < len(WHITE) else values[..., : len(WHITE)]
    eight = bands if bands.dtype == np.uint8 else _scaled(bands)
    if negative:
        eight = 255 - eight
    image = Image.fromarray(np.ascontiguousarray(eight))
    return image if image.mode == "RGB" else image.convert("RGB")


@_quiet
def from_inks(values: Values) -> Image.Image:
    """Convert (height, width, 4) of cyan, magenta, yellow and black, in the type's full scale, to RGB, as Pillow converts inks."""
    eight = values if values.dtype == np.uint8 else np.clip(values / (_full_scale(values.dtype) / 255), 0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB")


@_quiet
def over_white(values: Values, alpha: Values, *, premultiplied: bool = False) -> Values:
    """Blend (height, width, bands) by `alpha` (height, width) over white, or over no ink if there are four bands.

    Both have one type, which the result has, too.
    """
    full = _full_scale(values.dtype)
    inks = values.shape[-1] > len(WHITE)
    opacity = (alpha / full)[..., np.newaxis]
    through = values if premultiplied else values * opacity
    seen = through if inks else through + full * (1.0 - opacity)
    blended: Values = np.clip(np.rint(seen) if values.dtype.kind in "iu" else seen, 0, full).astype(values.dtype)
    return blended


def placed(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """The image inside `box`, the rest white."""
    canvas = Image.new("RGB", image.size, WHITE)
    canvas.paste(image.crop(box), box)
    return canvas


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _from_lab(image: Image.Image) -> Image.Image:
    rgb = ImageCms.applyTransform(image, _lab_to_rgb())
    assert rgb is not None, "it is, unless the image is to be changed in place"
    return rgb


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    canvas = Image.new("RGB", rgba.size, WHITE)
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def _scaled(values: Values) -> npt.NDArray[np.uint8]:
    """Scale values of more than 8 bits to 8 bits. Files do not say how many of the bits are used: white is the smallest common full
    scale that holds the brightest value, else that value. The range is not stretched, which would turn night into day.
    """
    finite = np.nan_to_num(values.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    white = _white(values.dtype, float(finite.max(initial=0.0)))
    eight: npt.NDArray[np.uint8] = np.ceil(np.clip(finite * np.float32(255.0 / white), 0.0, 255.0) - np.float32(0.5)).astype(
        np.uint8
    )
    return eight


def _full_scale(kind: np.dtype[Any]) -> float:
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0


def _white(kind: np.dtype[Any], brightest: float) -> float:
    if kind.kind == "f" and brightest <= _HIGHLIGHTS:
        return 1.0
    scales: tuple[float, ...] = _FULL_SCALES
    if kind.kind == "i" and kind.itemsize < 4:  # half of 8 or 16 bits with a sign are for the dark side
        scales = tuple(sorted({*scales, float(np.iinfo(kind).max)}))
    return next((scale for scale in scales if brightest <= scale), brightest)
