"""Files made to hurt: they are refused from their header, in next to no time and memory."""

import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from ml_api.errors import InvalidImage, InvalidInput, TooLarge
from ml_api.images import MEDIA_TYPES, DecodedImage, ImageLimits, decode
from tests.files import hostile_images
from tests.files.hostile_images import encoded, png

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=100_000_000, max_aspect=20)

BOMBS = {
    "PNG": png(20_000, 20_000),
    "WebP": hostile_images.webp_bomb(),
    "GIF": hostile_images.gif_bomb(),
    "BMP": hostile_images.bmp_bomb(),
    "TIFF": hostile_images.tiff_bomb(),
    "HEIC": hostile_images.iso_bomb("HEIC"),
    "AVIF": hostile_images.iso_bomb("AVIF"),
    "JPEG 2000": hostile_images.jpeg_2000_bomb(),
    "JPEG XL": hostile_images.jxl_bomb(),
    "PSD": hostile_images.psd_bomb(),
    "ICO of a PNG": hostile_images.icon_bomb("png"),
    "ICO of a bitmap": hostile_images.icon_bomb("bitmap"),
}


@pytest.mark.parametrize("format_", BOMBS)
def test_a_bomb_is_refused_before_a_pixel_is_decoded(format_):
    decode(encoded(Image.new("RGB", (8, 8)), format_.split(" of ")[0]), LIMITS)  # whatever the first image of a process sets up
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(InvalidImage) as caught:
            decode(BOMBS[format_], LIMITS)
        elapsed_s, (_, peak_bytes) = time.process_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    if format_ != "AVIF":  # libavif has a limit of its own and does not tell the size beyond it
        assert caught.value.slug == "image-too-many-pixels"
    assert peak_bytes < 2**22
    assert elapsed_s < 0.5


def test_a_line_of_pixels_is_refused():
    with pytest.raises(InvalidImage) as caught:
        decode(png(30_000, 1), LIMITS)

    assert caught.value.slug == "image-too-elongated"
    assert "30,000 x 1" in caught.value.detail


def test_the_limit_on_elongation_is_inclusive():
    assert decode(png(40, 2), LIMITS).width == 40
    with pytest.raises(InvalidImage, match="elongated"):
        decode(png(41, 2), LIMITS)


def test_the_limit_on_pixels_is_inclusive_and_independent_of_pillow():
    """Pillow warns from 89 million pixels on and refuses from 179 million; what is configured here counts instead."""
    narrow = ImageLimits(max_bytes=2**20, max_pixels=100, max_aspect=20)
    assert decode(png(10, 10), narrow).width == 10
    with pytest.raises(InvalidImage, match="11 x 10 pixels"):
        decode(png(11, 10), narrow)
    assert decode(png(9_500, 9_500), LIMITS).width == 9_500


def test_a_file_beyond_the_limit_is_too_large_whatever_it_is():
    with pytest.raises(TooLarge, match="at most 10 are accepted"):
        decode(b"x" * 11, ImageLimits(max_bytes=10, max_pixels=100, max_aspect=20))


SMALL = ImageLimits(max_bytes=2**16, max_pixels=2**16, max_aspect=20)


def _samples() -> list[bytes]:
    noise = Image.effect_noise((24, 24), 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = [encoded(noise.convert("RGB"), format_) for format_ in MEDIA_TYPES]
    samples += [encoded(noise.convert("RGB"), format_, exif=exif) for format_ in ("JPEG", "PNG", "WebP", "TIFF")]
    samples += [encoded(noise.convert("P"), "GIF", save_all=True, append_images=[noise.rotate(90)])]
    samples += [encoded(noise.convert("CMYK"), "JPEG"), encoded(noise.convert("I;16"), "TIFF"), encoded(noise.convert("F"), "TIFF")]
    samples += [encoded(noise, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    return samples


SAMPLES = _samples()


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """A file with some bytes changed, then perhaps cut, doubled or continued with another format's file."""
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    kept = draw(st.integers(0, len(data))) if draw(st.booleans()) else len(data)
    tail = draw(st.sampled_from([b"", b"\0" * 64, bytes(data), *SAMPLES]))
    return bytes(data[:kept]) + tail


@settings(max_examples=600)
@given(mutated_files())
@example(b"\xff\xd8\xff")
@example(b"\x89PNG\r\n\x1a\n")
@example(b"II*\0\x08\0\0\0")
@example(b"RIFF\0\0\0\0WEBPVP8 ")
def test_no_file_causes_anything_but_an_image_or_a_refusal(data):
    with suppress(InvalidInput):
        result = decode(data, SMALL, for_edge_px=8)
        assert isinstance(result, DecodedImage)
        assert result.image.mode == "RGB"
        assert result.image.width * result.image.height <= SMALL.max_pixels


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_read(data):
    with suppress(InvalidInput):
        decode(data, SMALL)
