"""What a file is, told from its first bytes."""

import re

import numpy as np
import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import MEDIA_TYPES, ImageLimits, decode, identify
from tests.files import hostile_images
from tests.files.hostile_images import encoded
from tests.files.tiff_files import tiff

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
    assert "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000, JPEG XL, PSD and ICO" in caught.value.detail


RAW = {
    "a Canon raw photograph (CR2)": b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
    "a Canon raw photograph (CR3)": b"\0\0\0\x18ftypcrx " + bytes(60),
    "an Olympus raw photograph (ORF)": b"IIRO\x08\0\0\0" + bytes(60),
    "a Panasonic raw photograph (RW2)": b"IIU\0\x08\0\0\0" + bytes(60),
    "a Fujifilm raw photograph (RAF)": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    "a raw photograph (DNG)": tiff(np.zeros((8, 8), "u2"), photometric="cfa"),
    "a video": b"RIFF\0\0\0\0AVI LIST" + bytes(60),
    "a DICOM image": bytes(128) + b"DICM" + bytes(60),
    "an OpenEXR image": b"v/1\x01" + bytes(60),
    "a GIMP document (XCF)": b"gimp xcf v011" + bytes(60),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_known_but_not_read_is_called_by_its_name(name):
    with pytest.raises(InvalidImage, match=re.escape(f"looks like {name};")) as caught:
        decode(RAW[name], LIMITS)

    assert caught.value.slug == "image-format"


@pytest.mark.parametrize("format_", ["PPM", "TGA", "PCX", "SGI"])
def test_formats_that_pillow_reads_beyond_the_list_are_refused(format_):
    data = encoded(Image.new("RGB", (20, 20), "red"), format_)

    assert identify(data) is None
    with pytest.raises(InvalidImage) as caught:
        decode(data, LIMITS)
    assert caught.value.slug == "image-format"
