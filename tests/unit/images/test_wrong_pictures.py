"""Files that decoders read without a word and wrongly: each was once indexed as a picture that it does not show."""

import struct

import numpy as np
import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import ImageLimits, decode
from tests.files.avif_boxes import cropped
from tests.files.hostile_images import Photoshop, encoded, png
from tests.files.tiff_files import planes, tiff

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=10**6, max_aspect=20)
RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))
RGB = np.dstack([RAMP, RAMP[:, ::-1], np.tile(np.linspace(0, 1, 48)[:, None], (1, 64))])


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, LIMITS).image, dtype=int)


def assert_shows(data: bytes, expected: np.ndarray, tolerance: int = 1) -> None:
    """`expected` from 0 to 1, grey or RGB."""
    shown = pixels(data)
    wanted = np.round(expected * 255)
    assert np.abs(shown - (wanted if wanted.ndim == 3 else wanted[..., None])).max() <= tolerance


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_of_16_bits_are_no_noise(order, compression):
    data = tiff(
        planes(RGB * 65535).astype("u2"), photometric="rgb", planarconfig="separate", byteorder=order, compression=compression
    )

    assert_shows(data, RGB)


@pytest.mark.parametrize("depth", ["u1", "u2", "u4", "f4"])
def test_white_is_zero_is_no_negative(depth):
    full = np.iinfo(depth).max if depth[0] == "u" else 1
    assert_shows(tiff(((1 - RAMP) * full).astype(depth), photometric="miniswhite"), RAMP)


def test_the_transparent_grey_of_a_16_bit_png_is_white():
    values = np.full((8, 8), 20_000, ">u2")
    values[:4] = 1_000
    image = png(8, 8, bits=16, rows=iter([row.tobytes() for row in values]))
    transparent = struct.pack(">I4sH", 2, b"tRNS", 1_000)
    end_of_header = 8 + 25
    data = image[:end_of_header] + transparent + struct.pack(">I", crc(transparent[4:])) + image[end_of_header:]

    assert pixels(data)[1, 1, 0] == 255
    assert pixels(data)[6, 6, 0] == 78


def crc(data: bytes) -> int:
    from zlib import crc32

    return crc32(data)


@pytest.mark.parametrize("shift", [0, 8])
def test_a_palette_of_8_bits_where_16_are_due_is_not_black(shift):
    colours = (np.linspace(0, 255, 256).astype("u2") << (8 - shift)).reshape(1, 256).repeat(3, 0)
    colours[1] = 0
    data = tiff(np.round(RAMP * 255).astype("u1"), photometric="palette", colormap=colours)

    assert_shows(data, np.dstack([RAMP, RAMP * 0, RAMP]))


def test_what_a_small_first_frame_of_a_gif_leaves_out_is_white():
    data = bytearray(encoded(Image.new("RGB", (6, 4), "red"), "GIF"))
    data[6:10] = struct.pack("<HH", 20, 10)
    frame = data.index(b",")
    data[frame + 1 : frame + 5] = struct.pack("<HH", 5, 3)

    shown = pixels(bytes(data))

    assert shown.shape == (10, 20, 3)
    assert (shown[3:7, 5:11] == (255, 0, 0)).all()
    shown[3:7, 5:11] = 255
    assert (shown == 255).all()


def test_what_a_clean_aperture_cuts_away_is_not_shown():
    image = Image.new("RGB", (64, 48), "blue")
    image.paste("red", (10, 8, 42, 32))

    decoded = decode(cropped(image, (10, 8, 42, 32), quality=100), LIMITS)

    assert (decoded.width, decoded.height) == decoded.image.size == (32, 24)
    assert np.abs(np.asarray(decoded.image, dtype=int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("format_", ["TIFF", "PNG", "JPEG 2000"])
def test_grey_of_10_to_14_bits_kept_in_16_is_as_bright_as_it_was(bits, format_):
    values = np.round(RAMP * (2**bits - 1)).astype("<u2")

    assert_shows(encoded(Image.frombytes("I;16", (64, 48), values.tobytes()), format_), RAMP)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_colours_of_10_to_14_bits_kept_in_16_are_as_bright_as_they_were(bits):
    assert_shows(tiff(np.round(RGB * (2**bits - 1)).astype("u2"), photometric="rgb"), RGB)


def test_a_band_that_is_not_alpha_hides_nothing():
    """Photoshop's selections and infrared stand where alpha would; only ExtraSamples tells them apart."""
    bands = np.dstack([RGB, RGB[..., 0] * 0])
    for kind, shown in (("unspecified", RGB), ("unassalpha", RGB * 0 + 1)):
        assert_shows(tiff(np.round(bands * 255).astype("u1"), photometric="rgb", extrasamples=[kind]), shown)


def test_a_photoshop_document_shows_its_flattened_picture():
    image = Image.fromarray(np.round(RGB * 255).astype("u1"))

    for mode in ("RGB", "L", "CMYK"):
        expected = np.asarray(image.convert(mode).convert("RGB")) / 255
        assert_shows(encoded(image.convert(mode), "PSD"), expected)


@pytest.mark.parametrize(
    ("mode", "bits", "kind"),
    [(1, 8, "u1"), (3, 8, "u1"), (4, 8, "u1"), (1, 16, ">u2"), (3, 16, ">u2"), (4, 16, ">u2"), (1, 32, ">f4"), (3, 32, ">f4")],
)
def test_a_photoshop_document_of_any_depth(mode, bits, kind):
    bands = {1: RGB[..., :1], 3: RGB, 4: np.dstack([RGB, RGB[..., 0] * 0.3])}[mode]
    kept = 1 - bands if mode == 4 else bands
    values = kept.astype(kind) if kind == ">f4" else np.round(kept * np.iinfo(kind).max).astype(kind)
    data = Photoshop(mode, bits).file([plane.tobytes() for plane in planes(values)], 64, 48)

    assert_shows(data, bands if mode != 4 else (1 - bands[..., :3]) * (1 - bands[..., 3:]), tolerance=2)


@pytest.mark.parametrize(("layers", "shown"), [(0, RGB), (2, RGB), (-2, RGB * 0 + 1)])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_selection_kept_in_a_photoshop_document_hides_nothing_but_transparency_does(bits, layers, shown):
    full, kind = (255, "u1") if bits == 8 else (65535, ">u2")
    values = np.round(np.dstack([RGB, RGB[..., 0] * 0]) * full).astype(kind)

    assert_shows(Photoshop(3, bits, layers).file([plane.tobytes() for plane in planes(values)], 64, 48), shown)


def test_a_photoshop_document_without_its_flattened_picture_is_refused_and_not_shown_white():
    info = struct.pack(">IB", 1, 0) + bytes(9)
    resource = struct.pack(">4sH2xI", b"8BIM", 1057, len(info)) + info

    with pytest.raises(InvalidImage, match="no flattened picture"):
        decode(Photoshop(3, layers=1, resources=resource).file([b"\xff" * 64] * 3, 8, 8), LIMITS)


def test_an_icon_shows_its_largest_picture_on_white():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((200, 20, 20, 255), (0, 0, 32, 64))

    decoded = decode(encoded(image, "ICO", sizes=[(16, 16), (64, 64), (32, 32)]), LIMITS)

    assert (decoded.width, decoded.height) == (64, 64)
    assert decoded.image.getpixel((8, 8)) == (200, 20, 20)
    assert decoded.image.getpixel((60, 8)) == (255, 255, 255)
