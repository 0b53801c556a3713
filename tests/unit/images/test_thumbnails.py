"""Previews: small, re-encoded, and free of everything but pixels."""

from io import BytesIO

from PIL import Image

from ml_api.images import THUMBNAIL_MEDIA_TYPE, ImageLimits, decode, thumbnail
from tests.files.hostile_images import encoded

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=10**6, max_aspect=20)


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def test_a_thumbnail_keeps_the_proportions_within_its_edge():
    small = opened(thumbnail(Image.new("RGB", (400, 200), "red"), 100))

    assert small.size == (100, 50)
    assert small.get_format_mimetype() == THUMBNAIL_MEDIA_TYPE


def test_a_small_image_is_not_enlarged():
    assert opened(thumbnail(Image.new("RGB", (20, 10)), 100)).size == (20, 10)


def test_an_elongated_image_keeps_at_least_one_pixel():
    assert opened(thumbnail(Image.new("RGB", (4000, 2)), 100)).size == (100, 1)


def test_the_image_itself_is_left_as_it_was():
    image = Image.new("RGB", (400, 200))
    thumbnail(image, 50)

    assert image.size == (400, 200)


def test_place_and_camera_do_not_survive():
    exif = Image.Exif()
    exif[0x010F] = "camera maker"
    exif[0x8825] = {2: (48.0, 8.0, 0.0)}
    data = encoded(Image.new("RGB", (64, 64)), "JPEG", exif=exif, icc_profile=b"x" * 200, comment=b"secret")

    small = thumbnail(decode(data, LIMITS).image, 32)

    assert not opened(small).getexif()
    assert b"EXIF" not in small
    assert b"ICCP" not in small
    assert b"camera maker" not in small
