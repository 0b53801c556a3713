"""Every kind of pixel becomes the RGB a person would see on a white page."""

import numpy as np
import pytest
from PIL import Image

from ml_api.images import ImageLimits, decode
from tests.files.hostile_images import encoded, png

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=10**6, max_aspect=20)


def pixel(data: bytes, place: tuple[int, int] = (1, 1)) -> tuple[int, int, int]:
    return decode(data, LIMITS).image.getpixel(place)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_lies_on_white(mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    data = encoded(image.convert(mode) if mode != "PA" else image.quantize(), "PNG" if mode != "PA" else "TIFF")
    if mode == "PA":
        data = encoded(image, "GIF")

    assert pixel(data) == (255, 255, 255)


def test_half_transparent_red_is_pink():
    assert pixel(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG")) == (255, 127, 127)


def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((1, 1), 0)
    data = encoded(image, "PNG", transparency=0)

    assert pixel(data) == (255, 255, 255)
    assert pixel(data, (3, 3)) == (200, 10, 10)


def test_a_palette_with_partial_transparency_is_blended():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])

    assert pixel(encoded(image, "PNG", transparency=bytes([255, 128]))) == (255, 127, 127)


def test_a_transparent_colour_of_an_opaque_image_is_white():
    image = Image.new("RGB", (4, 4), (10, 20, 30))

    assert pixel(encoded(image, "PNG", transparency=(10, 20, 30))) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_lies_on_white(mode):
    from ml_api.images.pixels import to_rgb

    straight = Image.new("LA" if mode == "La" else "RGBA", (2, 2), (0, 128) if mode == "La" else (0, 0, 0, 128))

    assert to_rgb(straight.convert(mode)).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0x8000, 128), (0xFFFF, 255)])
def test_16_bit_grey_is_scaled_and_not_clipped(value, expected):
    row = value.to_bytes(2, "big") * 4
    data = png(4, 4, bits=16, rows=iter([row] * 4))

    assert pixel(data) == (expected,) * 3


def test_16_bit_colour_and_alpha_are_scaled():
    colour = b"\xff\xff\x80\x00\x00\x00"
    assert pixel(png(4, 4, bits=16, colour_type=2, rows=iter([colour * 4] * 4))) == (255, 128, 0)
    assert pixel(png(4, 4, bits=16, colour_type=6, rows=iter([(colour + bytes(2)) * 4] * 4))) == (255, 255, 255)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_a_16_bit_tiff_reads_alike_in_both_byte_orders(order):
    mode = "I;16" if order == "<u2" else "I;16B"
    image = Image.frombytes(mode, (4, 4), np.full((4, 4), 0x8000, dtype=order).tobytes())

    assert pixel(encoded(image, "TIFF")) == (128, 128, 128)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100], [200, 255]], dtype=np.int32), 100),
        (np.array([[0, 25_700], [200, 65_535]], dtype=np.int32), 100),
        (np.array([[0, 1_000_000], [200, 2_550_000]], dtype=np.int32), 100),
        (np.array([[-5, 100], [200, 255]], dtype=np.int32), 100),
        (np.array([[0, 0.5], [0.2, 0.9]], dtype=np.float32), 127),
        (np.array([[0, 100], [200, 255]], dtype=np.float32), 100),
        (np.array([[np.nan, 0.5], [np.inf, 1.0]], dtype=np.float32), 127),
    ],
)
def test_32_bit_grey_is_scaled_to_the_smallest_full_scale_that_holds_it(values, expected):
    assert pixel(encoded(Image.fromarray(values), "TIFF"), (1, 0)) == (expected,) * 3


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_ink_colours_come_out_as_they_print(format_):
    """Pillow writes CMYK JPEGs with Adobe's marker and inverted inks, as Photoshop does."""
    red, green, blue = pixel(
        encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), format_, **({"quality": 95} if format_ == "JPEG" else {}))
    )

    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_stay_black_and_white(mode):
    image = Image.new(mode, (4, 4), 0)
    image.putpixel((1, 1), 255)

    assert pixel(encoded(image, "PNG")) == (255, 255, 255)
    assert pixel(encoded(image, "PNG"), (3, 3)) == (0, 0, 0)
