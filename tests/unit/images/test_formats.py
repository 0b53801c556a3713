"""What a file is, told from its first bytes."""

import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import MEDIA_TYPES, ImageLimits, decode, identify
from tests import hostile_images
from tests.hostile_images import encoded

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=10**6, max_aspect=20)


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_64_bytes_are_enough_to_tell_a_format(format_):
    assert identify(encoded(Image.new("RGB", (20, 20)), format_)[:64]) == format_


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (hostile_images.SVG, "an SVG drawing"),
        (hostile_images.PDF, "a PDF document"),
        (hostile_images.EPS, "a PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "a PostScript"),
        (hostile_images.TEXT, "text"),
        ("Ünïcödé ".encode() * 100, "text"),
        (b"BMW builds cars in Munich", "text"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"8BPS\0\2" + bytes(60), "a large Photoshop document (PSB)"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(60), "a video"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
        (bytes(100), "a file of zeros"),
        (bytes(range(128, 256)), "no image that we know"),
    ],
)
def test_a_refusal_says_what_the_file_looks_like_and_what_is_accepted(data, looks_like):
    with pytest.raises(InvalidImage) as caught:
        decode(data, LIMITS)

    assert caught.value.slug == "image-format"
    assert f"looks like {looks_like}" in caught.value.detail
    assert "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000, PSD and ICO" in caught.value.detail


@pytest.mark.parametrize("format_", ["PPM", "TGA", "PCX", "SGI"])
def test_formats_that_pillow_reads_beyond_the_list_are_refused(format_):
    data = encoded(Image.new("RGB", (20, 20), "red"), format_)

    assert identify(data) is None
    with pytest.raises(InvalidImage) as caught:
        decode(data, LIMITS)
    assert caught.value.slug == "image-format"
