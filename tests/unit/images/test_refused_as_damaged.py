"""Sound files of kinds that decoders stumble over: each was once refused as damaged."""

import struct

import numpy as np
import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import ImageLimits, decode
from tests.files.avif_boxes import without_alpha_size
from tests.files.hostile_images import encoded
from tests.files.tiff_files import tiff

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=10**6, max_aspect=20)
RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def pixels(data: bytes, edge_px: int | None = None) -> np.ndarray:
    return np.asarray(decode(data, LIMITS, for_edge_px=edge_px).image, dtype=int)


def noise(width: int = 640, height: int = 480) -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise((width, height), 90) for _ in range(3)])


def test_avif_with_alpha_whose_size_is_not_repeated():
    """MIAF asks for `ispe` beside alpha; libheif wrote none for years, and every viewer but libavif's strict mode opens them."""
    image = Image.new("RGBA", (64, 64), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 64, 32))

    shown = pixels(without_alpha_size(image, quality=100))

    assert np.abs(shown[8, 8] - 255).max() < 6
    assert np.abs(shown[56, 8] - (200, 30, 30)).max() < 6


@pytest.mark.parametrize("depth", ["f2", "f4", "f8"])
@pytest.mark.parametrize("bands", [1, 3])
def test_float_tiffs_of_16_32_and_64_bits(depth, bands):
    values = RAMP if bands == 1 else np.dstack([RAMP, RAMP[:, ::-1], RAMP])

    shown = pixels(tiff(values.astype(depth), photometric="minisblack" if bands == 1 else "rgb"))

    assert np.abs(shown - np.round(values.reshape(48, 64, bands) * 255)).max() <= 1


def test_highlights_of_a_float_picture_leave_the_rest_as_bright_as_it_is():
    values = RAMP.astype("f4")
    values[0, 0] = 3.0

    assert np.abs(pixels(tiff(values))[10, 32, 0] - values[10, 32] * 255) <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_in_both_byte_orders(order):
    shown = pixels(tiff((RAMP * 255).astype("u1"), bigtiff=True, byteorder=order))

    assert np.abs(shown[..., 0] - np.floor(RAMP * 255)).max() == 0


@pytest.mark.parametrize("alpha", [False, True])
def test_lab_with_and_without_alpha(alpha):
    """L 136 of 255 is 53.3, a 80, b 67: the red of sRGB."""
    values = np.full((48, 64, 4 if alpha else 3), 255, "u1")
    values[..., :3] = (136, 80, 67)
    if alpha:
        values[:24, :, 3] = 0

    shown = pixels(tiff(values, photometric="cielab", extrasamples=["unassalpha"] if alpha else []))

    assert np.abs(shown[40, 8] - (255, 0, 0)).max() < 12
    if alpha:
        assert (shown[8, 8] == 255).all()


def masked_bitmap(values: np.ndarray, masks: tuple[int, ...], *, upright: bool = False) -> bytes:
    """A BMP with the header of 124 bytes and those masks for red, green, blue and alpha."""
    height, width = values.shape
    rows = [row.tobytes() + bytes(-row.nbytes % 4) for row in (values if upright else values[::-1])]
    size = struct.pack("<IiiHHIIiiII", 124, width, -height if upright else height, 1, values.itemsize * 8, 3, 0, 0, 0, 0, 0)
    header = (size + struct.pack("<4I", *masks)).ljust(124, b"\0")
    body = b"".join(rows)
    return struct.pack("<2sIHHI", b"BM", 138 + len(body), 0, 0, 138) + header + body


@pytest.mark.parametrize("upright", [False, True])
def test_a_bitmap_of_four_bits_a_colour(upright):
    values = np.full((3, 5), 0xFF80, "<u2")  # opaque; red 15, green 8, blue 0
    values[0, 0] = 0x0F00  # transparent
    shown = pixels(masked_bitmap(values, (0x0F00, 0x00F0, 0x000F, 0xF000), upright=upright))

    assert shown.shape == (3, 5, 3)
    assert tuple(shown[2, 4]) == (255, 136, 0)
    assert tuple(shown[0, 0]) == (255, 255, 255)


def test_a_bitmap_of_ten_bits_a_colour():
    values = np.full((3, 5), (1023 << 20) | (512 << 10), "<u4")

    assert tuple(pixels(masked_bitmap(values, (0x3FF << 20, 0x3FF << 10, 0x3FF, 0)))[1, 1]) == (255, 128, 0)


def test_a_bitmap_with_masks_that_is_cut_off_is_refused():
    data = masked_bitmap(np.full((30, 50), 0xFF80, "<u2"), (0x0F00, 0x00F0, 0x000F, 0xF000))

    with pytest.raises(InvalidImage):
        decode(data[:-2], LIMITS)


@pytest.mark.parametrize("edge_px", [None, 40])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_only_its_last_two_bytes(edge_px, progressive, missing):
    image = noise()
    data = encoded(image, "JPEG", quality=90, progressive=progressive)

    assert (pixels(data[:-missing], edge_px) == pixels(data, edge_px)).all()


@pytest.mark.parametrize("missing", [40, 400, 40_000])
def test_a_jpeg_that_lacks_more_is_refused(missing):
    data = encoded(noise(), "JPEG", quality=90)

    for edge_px in (None, 40):
        with pytest.raises(InvalidImage) as caught:
            decode(data[:-missing], LIMITS, for_edge_px=edge_px)
        assert caught.value.slug == "image-truncated"


def lossless_jpeg(values: np.ndarray) -> bytes:
    """Grey, predictor 1, one Huffman code of 4 bits for each of the sizes 0 to 8 of a difference. Source: ITU-T T.81, annex H."""
    height, width = values.shape
    samples = values.astype(int)
    predicted = np.empty_like(samples)
    predicted[:, 1:], predicted[1:, 0], predicted[0, 0] = samples[:, :-1], samples[:-1, 0], 128
    bits = []
    for difference in (samples - predicted).ravel().tolist():
        size = abs(difference).bit_length()
        bits.append(f"{size:04b}")
        if size:
            bits.append(f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    scan = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        [
            b"\xff\xd8\xff\xc3" + struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB", 19 + 10, 0) + bytes([0, 0, 0, 10, *[0] * 12]) + bytes(range(10)),
            b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0) + scan + b"\xff\xd9",
        ]
    )


@pytest.mark.parametrize("edge_px", [None, 40])
def test_a_lossless_jpeg_is_decoded_in_full_where_scaled_decoding_breaks(edge_px):
    grey = noise().convert("L")
    data = lossless_jpeg(np.asarray(grey))

    shown = pixels(data, edge_px)

    expected = np.asarray(grey if edge_px is None else grey.reduce(4), dtype=int)
    assert shown.shape == (*expected.shape, 3)
    assert np.abs(shown[..., 0] - expected).max() <= 1
