"""Images and their sidecars in the listing of a bucket, which comes in the order of keys, a page at a time."""

import random

from ml_api.corpus.base import CorpusFile, is_image
from ml_api.corpus.bucket.corpus import with_sidecars
from ml_api.corpus.metadata import sidecar_of, version_beside

NAMES = (
    "a",
    "a.jpg",
    "a.JPG",
    "a.json",
    "a.png",
    "a.webp",
    "a.jpg.txt",
    "a.jpg/b.png",
    "a.jpg/b.json",
    "a.js/c.png",
    "a.txt",
    "a/b.json",
)
OTHERS = (
    "a.1.jpg",
    "a.1.json",
    "a.1.png",
    "a-1.json",
    "a-1.jpg",
    "ab.json",
    "a..json",
    "a..jpg",
    "\N{LATIN SMALL LETTER E WITH ACUTE}.json",
)


def expected(keys):
    taken = {sidecar_of(key) for key in keys if is_image(key)}
    for key in keys:
        if key not in taken:
            sidecar = sidecar_of(key)
            yield CorpusFile(key, version_beside(key, sidecar if is_image(key) and sidecar in keys else ""))


def test_an_image_and_its_sidecar_find_each_other_whatever_stands_between_them():
    draw = random.Random(9)
    for _ in range(500):
        keys = sorted(draw.sample(NAMES + OTHERS, draw.randint(1, 12)))
        assert list(with_sidecars(CorpusFile(key, key) for key in keys)) == list(expected(keys)), keys


def test_a_listing_of_many_names_that_begin_alike_is_not_held_back():
    listed = 0

    def listing():
        nonlocal listed
        for number in range(1000):
            for ending in ("jpg", "json", "png"):
                listed += 1
                yield CorpusFile(f"shot.{number:04}.{ending}", "1")

    for number, file in enumerate(with_sidecars(listing())):
        assert file.version == "1+1"
        assert listed <= 3 * (number // 2 + 1) + 1
