"""The perceptual hash: what leaves it as it is, what turns it, what changes it."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from ml_api.duplicates import NEAR_BITS
from ml_api.images import ImageLimits, InlineDecoder, Reduced
from ml_api.images.perceptual import HASH_BITS, HASH_CHARS, STORED_CHARS, Turn, distance, distances, perceptual_hash, turned

TURNS = {
    Turn.MIRRORED: Image.Transpose.FLIP_LEFT_RIGHT,
    Turn.UPSIDE_DOWN: Image.Transpose.FLIP_TOP_BOTTOM,
    Turn.ROTATED_90: Image.Transpose.ROTATE_90,
    Turn.ROTATED_180: Image.Transpose.ROTATE_180,
    Turn.ROTATED_270: Image.Transpose.ROTATE_270,
    Turn.TRANSPOSED: Image.Transpose.TRANSPOSE,
    Turn.TRANSVERSED: Image.Transpose.TRANSVERSE,
}


def scene(seed, size=(320, 240)):
    """Smooth hills and valleys of colour, as photographs have them."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def test_a_hash_is_sixteen_hex_digits_of_which_the_brightness_is_none():
    phash = perceptual_hash(scene(1))
    assert len(phash) == STORED_CHARS == 3 * HASH_CHARS  # of the whole and of two middles
    assert all(not int(phash[start : start + HASH_CHARS], 16) >> HASH_BITS for start in range(0, STORED_CHARS, HASH_CHARS))
    brighter = scene(1).point(lambda value: value // 2 + 60)
    assert distance(phash, perceptual_hash(brighter))[0] <= 3


@pytest.mark.parametrize("seed", range(5))
def test_recompressed_resized_and_grey_pictures_keep_their_hash(seed):
    picture = scene(seed)
    changed = {
        "recompressed": Image.open(io.BytesIO(jpeg(picture, 30))).convert("RGB"),
        "smaller": picture.resize((120, 90), Image.Resampling.LANCZOS),
        "larger": picture.resize((1000, 750), Image.Resampling.BICUBIC),
        "grey": picture.convert("L").convert("RGB"),
        "stretched": picture.resize((240, 320), Image.Resampling.BICUBIC),
    }
    for name, other in changed.items():
        bits, turn = distance(perceptual_hash(picture), perceptual_hash(other))
        assert bits <= 5, name
        assert turn is Turn.NONE, name


@pytest.mark.parametrize(("turn", "transposition"), TURNS.items())
def test_turned_pictures_are_told_with_their_turn(turn, transposition):
    for seed in range(5):
        picture = scene(seed)
        bits, found = distance(perceptual_hash(picture), perceptual_hash(picture.transpose(transposition)))
        assert bits <= NEAR_BITS
        assert found is turn


def test_different_pictures_differ_in_any_position():
    hashes = [perceptual_hash(scene(seed)) for seed in range(40)]
    nearest = min(distance(one, other)[0] for place, one in enumerate(hashes) for other in hashes[:place])
    assert nearest > 8


@pytest.mark.parametrize("share", [0.95, 0.9, 0.8**0.5, 0.85, 0.8])
def test_the_middle_of_a_picture_is_known_for_it_from_either_side(share):
    found = []
    for seed in range(10):
        picture = scene(seed, (400, 300))
        out_x, out_y = (1 - share) * 200, (1 - share) * 150
        whole, crop = perceptual_hash(picture), perceptual_hash(picture.crop((out_x, out_y, 400 - out_x, 300 - out_y)))
        assert distance(whole, crop)[0] == distance(crop, whole)[0]
        assert distance(whole[:HASH_CHARS], crop)[0] <= HASH_BITS  # a hash of an earlier version has no middles
        found.append(distance(whole, crop)[0])
    assert sum(bits <= 8 for bits in found) >= 9, found


def test_a_middle_of_one_colour_is_like_no_picture():
    """Such as a small thing in the corner of a white page."""
    flat = perceptual_hash(Image.new("RGB", (100, 100), "white"))
    cornered = Image.new("RGB", (100, 100), "white")
    cornered.paste(scene(1, (8, 8)), (1, 1))
    assert perceptual_hash(cornered)[HASH_CHARS:] == "0" * (STORED_CHARS - HASH_CHARS)
    assert distance(flat, perceptual_hash(cornered)) == distance(flat[:HASH_CHARS], perceptual_hash(cornered)[:HASH_CHARS])


@pytest.mark.parametrize("colour", ["white", "black", "red"])
def test_a_picture_of_one_colour_has_the_hash_of_zeros_even_when_it_was_compressed(colour):
    flat = Image.new("RGB", (200, 100), colour)
    for picture in (flat, Image.open(io.BytesIO(jpeg(flat, 20))).convert("RGB")):
        assert perceptual_hash(picture) == "0" * STORED_CHARS


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (31, 33)])
def test_a_picture_of_any_size_has_one(size):
    assert len(perceptual_hash(scene(1, size))) == STORED_CHARS


def test_the_decoder_gives_the_hash_of_what_it_decodes():
    picture = scene(3, (3000, 2000))
    decoded = InlineDecoder(ImageLimits(10**7, 10**8, 20)).decode(jpeg(picture, 95), Reduced(32))
    assert distance(decoded.phash, perceptual_hash(picture))[0] <= 2


@pytest.mark.parametrize("turn", ["", "mirrored"])
def test_pictures_that_agree_in_the_whole_alone_are_not_the_same(turn):
    """As two pieces of clothing, each in the middle of a table."""
    picture = scene(1)
    other = ImageOps.mirror(picture) if turn else picture.copy()
    whole, middles = perceptual_hash(picture)[:HASH_CHARS], perceptual_hash(scene(2))[HASH_CHARS:]
    assert distance(perceptual_hash(picture), perceptual_hash(other))[0] <= 3
    assert distance(f"{whole}{middles}", perceptual_hash(other))[0] > 8
    assert distance(whole, perceptual_hash(other))[0] <= 3, "a hash of an earlier version has no middles"


def test_a_crop_agrees_with_a_middle_in_its_own_middles_too():
    picture = scene(1, (400, 300))
    whole, crop = perceptual_hash(picture), perceptual_hash(picture.crop((20, 15, 380, 285)))
    other = perceptual_hash(scene(2))
    assert distance(whole, crop)[0] <= 3
    assert distance(whole, f"{crop[:HASH_CHARS]}{other[HASH_CHARS:]}")[0] > 8


def test_many_are_compared_as_two_are():
    rows = np.random.default_rng(0).integers(0, 256, (40, 24), dtype=np.uint8)
    hashes = [bytes(row).hex()[: STORED_CHARS if place % 3 else HASH_CHARS] for place, row in enumerate(rows)]

    def apart(one, other):
        """Without crops."""
        parts = [
            (turned(one[at : at + HASH_CHARS]), int(other[at : at + HASH_CHARS], 16))
            for at in range(0, len(one), HASH_CHARS)
            if other[at:]
        ]
        return min(max((turns[place][1] ^ number).bit_count() for turns, number in parts) for place in range(8))

    expected = [[apart(one, other) for other in hashes[:7]] for one in hashes]
    assert distances(hashes, hashes[:7]).tolist() == expected
    assert distances([], hashes).shape == (0, 40)
