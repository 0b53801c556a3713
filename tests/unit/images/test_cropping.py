"""A part of a picture is what a person sees there, however the file stores it and however small it was decoded."""

import numpy as np
import pytest
from PIL import Image

from ml_api.errors import InvalidCrop
from ml_api.images import MEDIA_TYPES, Crop, ImageLimits, decode
from tests.files.hostile_images import encoded

LIMITS = ImageLimits(max_bytes=32 * 2**20, max_pixels=128_000_000, max_aspect=20)
QUARTERS = {(0, 0): (220, 30, 30), (1, 0): (30, 180, 60), (0, 1): (40, 60, 220), (1, 1): (250, 250, 250)}
"""Colours by place: column, row."""


def quartered(width, height):
    image = Image.new("RGB", (width, height))
    for (column, row), colour in QUARTERS.items():
        image.paste(colour, (column * width // 2, row * height // 2, (column + 1) * width // 2, (row + 1) * height // 2))
    return image


def mean(image):
    return tuple(np.asarray(image).reshape(-1, 3).mean(axis=0).round(-1).astype(int))


@pytest.mark.parametrize("place", QUARTERS)
@pytest.mark.parametrize("edge_px", [None, 20])
@pytest.mark.parametrize("in_shares", [True, False], ids=["shares", "pixels"])
def test_a_part_is_named_in_pixels_or_in_shares(place, edge_px, in_shares):
    column, row = place
    width, height = (1, 1) if in_shares else (640, 480)
    crop = Crop((column / 2 + 0.05) * width, (row / 2 + 0.05) * height, 0.4 * width, 0.4 * height)
    decoded = decode(encoded(quartered(640, 480), "PNG"), LIMITS, for_edge_px=edge_px, crop=crop)
    assert mean(decoded.image) == mean(Image.new("RGB", (1, 1), QUARTERS[place]))
    assert (decoded.width, decoded.height) == (640, 480)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_named_as_the_picture_is_displayed(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(quartered(640, 480), "JPEG", exif=exif, quality=95)
    whole = decode(data, LIMITS).image
    box = (whole.width // 2 + 20, 20, whole.width - 20, whole.height // 2 - 20)
    part = decode(data, LIMITS, for_edge_px=20, crop=Crop(box[0], box[1], box[2] - box[0], box[3] - box[1])).image
    assert mean(part) == mean(whole.crop(box))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("crop", [Crop(1000, 500, 600, 450), Crop(1000 / 2400, 500 / 1800, 0.25, 0.25)], ids=["pixels", "shares"])
def test_what_is_left_of_a_reduced_picture_is_enough_for_the_model(format_, crop):
    data = encoded(quartered(2400, 1800), format_)
    reduced = decode(data, LIMITS, for_edge_px=50, crop=crop).image
    assert reduced.size == (150, 113)  # a quarter: an eighth would leave less than twice 50 pixels
    assert min(decode(data, LIMITS, for_edge_px=224, crop=crop).image.size) == 450


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_every_format_can_be_cropped(format_):
    width, height = (200, 150) if format_ == "ICO" else (640, 480)
    part = decode(encoded(quartered(width, height), format_), LIMITS, for_edge_px=10, crop=Crop(0.55, 0.05, 0.4, 0.4)).image
    assert mean(part) == pytest.approx(QUARTERS[1, 0], abs=12)


def test_the_whole_picture_is_a_part_of_it():
    data = encoded(quartered(640, 480), "PNG")
    for crop in (Crop(0, 0, 1, 1), Crop(0, 0, 640, 480), Crop(0.7, 0, 0.3, 1)):
        decode(data, LIMITS, crop=crop)
    assert decode(data, LIMITS, crop=Crop(0, 0, 1, 1)).image == decode(data, LIMITS).image


def test_the_smallest_part_is_a_pixel():
    data = encoded(quartered(640, 480), "PNG")
    for crop in (
        Crop(1, 1, 1e-9, 1e-9),
        Crop(639, 479, 1, 1),
        Crop(0.9999999, 0.9999999, 1e-9, 1e-9),
        Crop(0, 0, 5e-324, 1),
        Crop(5, 5, 1e-300, 9),
    ):
        assert min(decode(data, LIMITS, for_edge_px=20, crop=crop).image.size) >= 1


@pytest.mark.parametrize(
    "numbers",
    [
        (-1, 0, 10, 10),
        (0, 0, 0, 10),
        (0, 0, 10, -1),
        (float("nan"), 0, 10, 10),
        (0, 0, float("inf"), 10),
        (0.5, 0, 0.6, 1),
        (0, 0.1, 1, 1),
    ],
)
def test_what_is_a_part_of_no_picture_is_refused_without_it(numbers):
    with pytest.raises(InvalidCrop):
        Crop(*numbers)


@pytest.mark.parametrize("numbers", [(0, 0, 641, 480), (700, 0, 10, 10), (0, 470, 10, 11)])
def test_a_part_outside_of_the_picture_is_refused_with_its_size(numbers):
    with pytest.raises(InvalidCrop, match="640 x 480"):
        decode(encoded(quartered(640, 480), "PNG"), LIMITS, for_edge_px=20, crop=Crop(*numbers))


def test_a_file_that_is_no_picture_is_told_as_without_a_crop():
    damaged = encoded(quartered(640, 480), "JPEG")[:300]
    with pytest.raises(Exception, match=r"ends before|damaged") as told:
        decode(damaged, LIMITS, for_edge_px=20)
    with pytest.raises(type(told.value), match=str(told.value)[:30]):
        decode(damaged, LIMITS, for_edge_px=20, crop=Crop(0, 0, 100, 100))
