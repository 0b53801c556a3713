"""What is left of a picture for a model: a square, or a picture for who makes the square himself; never more than it takes."""

import pickle

import numpy as np
import pytest
from PIL import Image

from ml_api.images import Reduced, Square

BICUBIC = int(Image.Resampling.BICUBIC)


def noise(width, height):
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (224, 224), (30, 20), (1, 1), (2000, 20), (20, 2000)])
@pytest.mark.parametrize("fit", [Square(32, 40, BICUBIC), Square(32, 32, BICUBIC), Square(32, None, BICUBIC)], ids=str)
def test_a_square_is_as_large_as_the_model_sees_and_can_be_handed_over(fit, size):
    pixels = pickle.loads(pickle.dumps(fit)).apply(noise(*size))

    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_clips_square_is_the_middle_of_the_scaled_whole():
    image = noise(90, 60)

    scaled = np.asarray(image.resize((48, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(Square(20, 32, BICUBIC).apply(image), scaled[6:26, 14:34])


def test_siglips_square_is_the_whole_whatever_its_shape():
    image = noise(90, 60)

    np.testing.assert_array_equal(
        Square(20, None, BICUBIC).apply(image), np.asarray(image.resize((20, 20), Image.Resampling.BICUBIC))
    )


@pytest.mark.parametrize(("size", "kept"), [((90, 60), (60, 90)), ((900, 60), (60, 240)), ((60, 900), (240, 60))])
def test_a_picture_for_the_models_own_processor_loses_the_ends_of_what_is_very_long(size, kept):
    image = noise(*size)

    pixels = Reduced(32).apply(image)

    height, width = kept
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    np.testing.assert_array_equal(pixels, np.asarray(image)[top : top + height, left : left + width])
    assert pixels.flags.c_contiguous
