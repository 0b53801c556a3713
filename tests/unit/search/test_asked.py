"""How well each of several texts is met by the best hits."""

import numpy as np
import pytest

from ml_api.search.asked import Asked, AskedTerm

RED, DOG, SNOW = (row.astype(np.float32) for row in np.eye(4)[:3])
BACKGROUND = np.random.default_rng(1).normal(0, 0.1, (200, 4)).astype(np.float32)


def vector(*parts):
    total = np.sum(parts, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def text(part):
    return AskedTerm(part, is_text=True, weight=1.0)


def image(part):
    return AskedTerm(part, is_text=False, weight=1.0)


def without(part):
    return AskedTerm(part, is_text=True, weight=-1.0)


def asked(*terms):
    return Asked.of(vector(RED, DOG), terms)


def test_hits_that_meet_one_of_two_texts_very_well_tell_less_than_those_that_meet_both():
    query = asked(text(RED), text(DOG))
    both, one = (query.signals([np.array(hit, np.float32)], BACKGROUND) for hit in ((0.5, 0.5, 0, 0), (1, 0, 0, 0)))
    assert (both > one + 2).all()


def test_what_is_not_wanted_is_no_text_that_must_be_met():
    apart = asked(text(RED), text(DOG), without(SNOW)).signals([SNOW, RED], BACKGROUND)
    assert np.allclose(apart, asked(text(RED), text(DOG)).signals([SNOW, RED], BACKGROUND))


@pytest.mark.parametrize(
    ("query", "number"),
    [(asked(text(RED)), 0), (asked(image(RED)), 0), (asked(image(RED), text(DOG)), 0), (asked(text(RED), text(DOG)), 2)],
    ids=["text", "image", "image and text", "texts"],
)
def test_only_of_several_texts_each_is_looked_at_and_hits_that_were_deleted_meanwhile_tell_nothing(query, number):
    assert len(query.signals([RED, DOG], BACKGROUND)) == number
    assert query.signals([], BACKGROUND).tolist() == [0.0] * number
