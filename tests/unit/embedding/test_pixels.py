"""An image is prepared as the model's own processor prepares it, by a shorter way."""

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from ml_api.embedding.clip.describing import pixels_of

TOLERANCE = 1e-6
"""Rounding in float32; one step of 255 would be 0.015."""
SIZES = [(224, 224), (640, 427), (427, 640), (1200, 301), (225, 224), (33, 32), (777, 333), (500, 180), (1, 1), (3, 2), (900, 899)]


def pixels(processor, edge, image):
    fit, normalise = pixels_of(processor, edge)
    return normalise(fit.apply(image))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("crop", [224, 196])
def test_pixels_are_those_of_the_processor(size, crop):
    processor = CLIPImageProcessorPil(crop_size={"height": crop, "width": crop})
    noise = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)

    ours = pixels(processor, crop, image)
    theirs = processor(images=image, return_tensors="np")["pixel_values"][0]

    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    assert ours.flags.c_contiguous
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("change", [{"do_center_crop": False}, {"size": {"height": 64, "width": 64}}, {"do_normalize": False}])
def test_a_processor_that_does_anything_else_does_it_itself(change):
    processor = CLIPImageProcessorPil(**change)
    image = Image.effect_noise((300, 200), 60).convert("RGB")

    theirs = processor(images=image, return_tensors="np")["pixel_values"][0]
    np.testing.assert_array_equal(pixels(processor, 224, image), theirs.astype(np.float32))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("change", [{}, {"do_rescale": False}], ids=["CLIP's", "another"])
def test_a_line_of_pixels_costs_no_more_than_a_square(change):
    prepared = pixels(CLIPImageProcessorPil(**change), 224, Image.new("RGB", (30_000, 1)))

    assert prepared.shape == (3, 224, 224)
