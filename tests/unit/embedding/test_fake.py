"""The stand-in is good enough to be searched with."""

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.fake import COLOURS, FakeEncoder, FakePreprocessor
from tests.prepared import prepared_image

PREPROCESSOR = FakePreprocessor()


def similarity(text: str, image: Image.Image) -> float:
    encoder = FakeEncoder()
    [words] = encoder.embed([PREPROCESSOR.prepare_text(text)])
    [pixels] = encoder.embed([prepared_image(PREPROCESSOR, image)])
    return float(words @ pixels)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_finds_the_picture_of_that_colour_first(colour):
    scores = {name: similarity(f"something {colour}", Image.new("RGB", (50, 40), rgb)) for name, rgb in COLOURS.items()}

    assert max(scores, key=scores.__getitem__) == colour


def test_pictures_alike_are_near_and_yet_not_the_same():
    encoder = FakeEncoder()
    red, reddish, blue = (
        encoder.embed([prepared_image(PREPROCESSOR, Image.new("RGB", (9, 9), rgb))])[0] for rgb in ("#dc1e1e", "#cc2828", "#2846d2")
    )

    assert red @ reddish > 0.98 > red @ blue
    assert not np.array_equal(red, reddish)


def test_texts_that_share_words_are_nearer_than_texts_that_do_not():
    encoder = FakeEncoder()
    dog, dogs, boat = encoder.embed([PREPROCESSOR.prepare_text(text) for text in ("a dog in snow", "Snow: a DOG", "sailing boat")])

    assert dog @ dogs > dog @ boat
