"""JPEG XL: its header is read by us, since its decoder decodes before it tells a size."""

import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import ImageLimits, decode
from tests.files.hostile_images import encoded

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=10**8, max_aspect=100)
SIZES = [
    (1, 1),
    (64, 48),
    (63, 48),
    (9, 500),
    (8_200, 700),
    (256, 256),
    (120, 100),
    (640, 480),
    (300, 200),
    (1_920, 1_080),
    (300, 250),
    (640, 320),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_every_way_to_write_a_size_is_understood(size, mode):
    """Small sizes in eights, four lengths of numbers, seven ratios; in a container (16 bits) and without."""
    decoded = decode(encoded(Image.new(mode, size), "JPEG XL", lossless=True, effort=1), LIMITS)

    assert (decoded.width, decoded.height) == decoded.image.size == size


def test_a_recompressed_jpeg_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 32), "blue")
    image.paste("red", (0, 0, 16, 16))
    image.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "turned.jpg") as jpeg:
        data = encoded(jpeg, "JPEG XL", lossless_jpeg=True)

    decoded = decode(data, LIMITS)

    assert (decoded.width, decoded.height) == decoded.image.size == (32, 64)
    assert decoded.image.getpixel((28, 3))[0] > 200


def test_a_file_of_boxes_without_a_codestream_is_refused():
    with pytest.raises(InvalidImage) as caught:
        decode(b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x08free" * 100, LIMITS)

    assert caught.value.slug == "image-damaged"
