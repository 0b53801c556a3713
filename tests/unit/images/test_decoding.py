"""What `decode` lets in, and as what."""

import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import MEDIA_TYPES, ImageLimits, decode
from ml_api.images.decoders.pillow import open_with_pillow
from tests.files.hostile_images import encoded

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=10**6, max_aspect=20)
LOSSY = {"JPEG", "AVIF", "HEIC", "WebP", "JPEG XL"}
BIG = [format_ for format_ in MEDIA_TYPES if format_ != "ICO"]
"""An icon has at most 256 pixels a side."""


def scene() -> Image.Image:
    """64 x 32, blue, with a red square in the upper left corner: every turn and mirroring of it looks different."""
    image = Image.new("RGB", (64, 32), "blue")
    image.paste("red", (0, 0, 16, 16))
    return image


def corner_of(image: Image.Image) -> str:
    """Which corner is red."""
    right, bottom = image.width - 4, image.height - 4
    corners = {"upper left": (3, 3), "upper right": (right, 3), "lower left": (3, bottom), "lower right": (right, bottom)}
    [red] = [name for name, place in corners.items() if image.getpixel(place)[0] > 128]
    return red


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_every_accepted_format_comes_back_as_the_picture_that_went_in(format_):
    decoded = decode(encoded(scene(), format_), LIMITS)

    assert (decoded.format, decoded.width, decoded.height) == (format_, 64, 32)
    assert decoded.image.mode == "RGB"
    difference = np.abs(np.asarray(decoded.image, dtype=int) - np.asarray(scene(), dtype=int)).mean()
    assert difference <= (6 if format_ in LOSSY else 0)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stands_upright_whatever_its_exif_orientation(format_, orientation):
    corner = dict(zip(range(1, 9), ["upper left", "upper right", "lower right", "lower left"] * 2, strict=True))
    corner |= {5: "upper left", 6: "upper right", 7: "lower right", 8: "lower left"}
    exif = Image.Exif()
    exif[0x0112] = orientation

    decoded = decode(encoded(scene(), format_, exif=exif.tobytes() if format_ == "HEIC" else exif), LIMITS)

    assert corner_of(decoded.image) == corner[orientation]
    assert decoded.image.size == (decoded.width, decoded.height) == ((64, 32) if orientation < 5 else (32, 64))


def test_only_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for format_ in ("GIF", "PNG", "WebP", "AVIF", "TIFF"):
        data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
        red, green, blue = decode(data, LIMITS).image.getpixel((4, 4))
        assert red > 200, format_
        assert max(green, blue) < 60, format_


def test_a_phone_picture_with_a_second_image_inside_is_a_jpeg():
    data = encoded(scene(), "MPO", save_all=True, append_images=[scene()])

    assert decode(data, LIMITS).format == "JPEG"


def test_nothing_of_the_metadata_stays_with_the_image():
    exif = Image.Exif()
    exif[0x010F] = "camera maker"
    data = encoded(scene(), "JPEG", exif=exif, comment=b"secret", icc_profile=b"x" * 200, dpi=(72, 72))

    image = decode(data, LIMITS).image

    assert image.info == {}
    assert not image.getexif()


def test_damaged_metadata_does_not_spoil_a_sound_picture():
    broken = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 2**31, 2**31) + b"\0\0"

    assert decode(encoded(scene(), "JPEG", exif=broken), LIMITS).width == 64


def test_a_big_jpeg_is_decoded_no_larger_than_twice_the_edge_asked_for():
    photo = Image.effect_noise((1000, 800), 40).convert("RGB")

    decoded = decode(encoded(photo, "JPEG"), LIMITS, for_edge_px=100)

    assert (decoded.width, decoded.height) == (1000, 800)
    assert decoded.image.size == (250, 200)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_a_panorama_of_twenty_to_one_is_read(format_, upright):
    size = (600, 12_000) if upright else (12_000, 600)
    limits = ImageLimits(max_bytes=2**25, max_pixels=10**7, max_aspect=20)

    decoded = decode(encoded(Image.linear_gradient("L").resize(size).convert("RGB"), format_), limits, for_edge_px=128)

    assert (decoded.width, decoded.height) == size
    assert decoded.image.size == (size[0] // 2, size[1] // 2)


@pytest.mark.parametrize("format_", BIG)
def test_reducing_keeps_the_picture_in_every_format(format_):
    image = scene().resize((640, 320), Image.Resampling.NEAREST)

    decoded = decode(encoded(image, format_), LIMITS, for_edge_px=40)

    assert (decoded.width, decoded.height) == (640, 320)
    assert decoded.image.size == (160, 80)
    assert corner_of(decoded.image) == "upper left"


@pytest.mark.parametrize(("edge_px", "reduced"), [(10, (80, 40)), (40, (160, 80)), (50, (320, 160)), (81, (640, 320))])
def test_a_jpeg_and_a_png_are_reduced_alike(edge_px, reduced):
    image = scene().resize((640, 320), Image.Resampling.BICUBIC)
    jpeg, png = (decode(encoded(image, format_), LIMITS, for_edge_px=edge_px).image for format_ in ("JPEG", "PNG"))

    assert jpeg.size == png.size == reduced
    assert np.abs(np.asarray(jpeg, dtype=int) - np.asarray(png, dtype=int)).mean() < 3


def test_reduced_decoding_keeps_the_whole_image_where_it_is_small_already():
    decoded = decode(encoded(scene(), "JPEG"), LIMITS, for_edge_px=224)

    assert decoded.image.size == (64, 32)


def test_the_result_does_not_hang_on_to_the_file():
    image = decode(encoded(scene(), "PNG"), LIMITS).image

    assert type(image) is Image.Image


def test_many_threads_decode_side_by_side():
    files = {format_: encoded(scene(), format_) for format_ in MEDIA_TYPES}
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(lambda format_: decode(files[format_], LIMITS), list(MEDIA_TYPES) * 20))

    assert [image.format for image in decoded] == list(MEDIA_TYPES) * 20
    assert all(corner_of(image.image) == "upper left" for image in decoded)


@pytest.mark.parametrize("format_", MEDIA_TYPES)
@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_file_that_was_cut_off_is_refused(format_, quarter):
    noise = Image.effect_noise((96, 96), 80).convert("RGB")
    data = encoded(noise, format_)

    with pytest.raises(InvalidImage) as caught:
        decode(data[: len(data) * quarter // 4], LIMITS)

    assert caught.value.slug in {"image-truncated", "image-damaged"}
    assert "cut off" in caught.value.detail


def test_a_refusal_never_quotes_the_decoder():
    data = encoded(scene(), "PNG")

    with pytest.raises(InvalidImage) as caught:
        decode(data[:40], LIMITS)

    assert "0x" not in caught.value.detail
    assert "BytesIO" not in caught.value.detail
    assert caught.value.__cause__ is not None


def test_an_empty_file_is_named_as_such():
    with pytest.raises(InvalidImage) as caught:
        decode(b"", LIMITS)

    assert caught.value.slug == "image-empty"


def test_the_first_bytes_decide_and_not_a_name():
    assert decode(BytesIO(encoded(scene(), "PNG")).getvalue(), LIMITS).format == "PNG"


@pytest.mark.parametrize(
    ("mode", "subsampling", "bytes_each"), [("L", "4:0:0", 9), ("RGB", "4:2:0", 9.5), ("RGB", "4:4:4", 11), ("RGBA", "4:2:0", 13.5)]
)
def test_the_memory_of_an_avif_is_counted_by_its_planes(mode, subsampling, bytes_each):
    """Measured at the peak, for each pixel of a picture of 16 megapixels: 9.2 in 4:2:0, 10.8 in 4:4:4, 12.6 with alpha."""
    data = encoded(Image.new(mode, (200, 100)), "AVIF", subsampling=subsampling)

    assert open_with_pillow("AVIF", data, None).memory_bytes == 200 * 100 * bytes_each
