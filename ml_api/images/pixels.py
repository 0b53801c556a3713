"""From whatever a decoder yields (palettes, alpha, 16 bits, floats, CMYK) to 8-bit RGB as a person would see it on white."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

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
"""EXIF orientation (CIPA DC-008, tag 0x0112) to the turn that undoes it."""
SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: alpha on white, 16-bit and float grey scaled, the rest as Pillow converts it."""
    if image.mode.startswith("I;16"):
        return _grey(np.right_shift(np.asarray(image), 8))
    if image.mode in {"I", "F"}:
        return _grey(_scaled(np.asarray(image)))
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    canvas = Image.new("RGB", rgba.size, WHITE)
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def _scaled(values: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """32-bit grey says nowhere what white is: take the smallest common full scale (1 for floats, 8 bits, 16 bits) that holds
    the brightest pixel, else that pixel. Not a stretch to the darkest and brightest, which would turn night into day.
    """
    finite = np.nan_to_num(values.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(finite.max(initial=0.0))
    scales = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    white = next((scale for scale in scales if brightest <= scale), brightest)
    scaled: npt.NDArray[np.float32] = np.clip(finite * np.float32(255.0 / white), 0.0, 255.0)
    return scaled


def _grey(values: npt.NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")
