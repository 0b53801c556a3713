"""Which hits of a ranking stand behind which."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_api.images.perceptual import FLAT, distance
from ml_api.records import Hit
from ml_api.search.grouping import DUPLICATES, NEAR, leaders
from ml_api.vectors.filters import Field
from tests.contracts.samples import record

BLACK_AND_WHITE = "0f0f0f0f0f0f0f0f"
HASHES = ("", BLACK_AND_WHITE, "0f0f0f0f0f0f0f07", "0f0f0f0f0f0f0000", "a31c95e2770b46d8")
"""The first three that are not empty differ in 1, 7 and 8 bits, which is as near as near pictures are."""


def hit(number, digest, phash="", **metadata):
    return Hit(record(f"{number}.jpg", digest=digest * 64, phash=phash, metadata=metadata), 1 - number / 1000)


def beside(cosine, other=1):
    """A vector at this cosine to the first axis."""
    vector = np.zeros(4, dtype=np.float32)
    vector[0], vector[other] = cosine, np.sqrt(1 - cosine**2)
    return vector


def never(ids):
    raise AssertionError(f"the vectors of {ids} are not needed")


rankings = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(HASHES), st.sampled_from((1.0, 0.97, 0.3))), max_size=30
).map(
    lambda rows: (
        [hit(number, digest, phash) for number, (digest, phash, _) in enumerate(rows)],
        {hit(number, "a").record.id: beside(cosine) for number, (_, _, cosine) in enumerate(rows)},
    )
)


@given(rankings)
@settings(max_examples=40)
def test_each_hit_has_one_leader_which_leads_itself_and_comes_before_it(ranking):
    hits, vectors = ranking
    led = leaders(hits, DUPLICATES, lambda ids: {one: vectors[one] for one in ids})
    assert len(led) == len(hits)
    assert all(leader <= place and led[leader] == leader for place, leader in enumerate(led))


@given(rankings, st.integers(0, 30))
@settings(max_examples=40)
def test_reading_on_changes_nothing_before(ranking, count):
    hits, vectors = ranking
    whole = leaders(hits, DUPLICATES, lambda _: vectors)
    assert leaders(hits[:count], DUPLICATES, lambda _: vectors) == whole[:count]


@given(rankings)
@settings(max_examples=40)
def test_hits_of_one_group_are_copies_of_their_leader_or_of_what_is_near_to_it(ranking):
    hits, vectors = ranking
    led = leaders(hits, DUPLICATES, lambda _: vectors)
    firsts = {one.record.digest: one for one in reversed(hits)}
    for place, leader in enumerate(led):
        mine, first = firsts[hits[place].record.digest].record, hits[leader].record
        if mine.digest != first.digest:
            assert distance(mine.phash, first.phash)[0] <= NEAR.near_bits
            assert vectors[mine.id] @ vectors[first.id] >= NEAR.near_similarity
    assert all(led[place] == led[hits.index(firsts[one.record.digest])] for place, one in enumerate(hits))


def test_the_same_bytes_are_together_whatever_their_hash():
    assert leaders([hit(0, "a"), hit(1, "b"), hit(2, "a"), hit(3, "b"), hit(4, "c")], DUPLICATES, never) == [0, 1, 0, 1, 4]


@pytest.mark.parametrize(("cosine", "expected"), [(0.96, [0, 0]), (0.94, [0, 1])])
def test_pictures_of_equal_hashes_are_near_if_the_model_agrees(cosine, expected):
    hits = [hit(0, "a", BLACK_AND_WHITE), hit(1, "b", BLACK_AND_WHITE)]
    vectors = dict(zip((one.record.id for one in hits), (beside(1.0), beside(cosine)), strict=True))
    assert leaders(hits, DUPLICATES, lambda _: vectors) == expected


def test_one_that_was_deleted_meanwhile_stays_apart():
    hits = [hit(0, "a", BLACK_AND_WHITE), hit(1, "b", BLACK_AND_WHITE)]
    assert leaders(hits, DUPLICATES, lambda ids: {ids[0]: beside(1.0)}) == [0, 1]


def test_vectors_are_asked_for_of_those_whose_hashes_are_near_alone():
    asked = []
    hits = [hit(0, "a", BLACK_AND_WHITE), hit(1, "b", HASHES[-1]), hit(2, "c", HASHES[2]), hit(3, "d")]
    leaders(hits, DUPLICATES, lambda ids: asked.append(set(ids)) or {})
    assert asked == [{hits[0].record.id, hits[2].record.id}]
    assert leaders(hits[1:2], DUPLICATES, never) == [0]
    assert leaders([], DUPLICATES, never) == []


def test_a_copy_of_one_that_is_near_the_leader_stands_behind_the_leader():
    hits = [hit(0, "a", BLACK_AND_WHITE), hit(1, "b", HASHES[2]), hit(2, "b", HASHES[2])]
    assert leaders(hits, DUPLICATES, lambda ids: {one: beside(1.0) for one in ids}) == [0, 0, 0]


def test_values_are_equal_as_filters_have_it():
    values = [5, 5.0, True, 1, "5", ["a", "b"], ["b", "a"], ["a", "b"], None, None, {"a": 1}, {"a": 1}, [], []]
    led = leaders([hit(number, "a", brand=value) for number, value in enumerate(values)], Field(("brand",)), never)
    assert led == [0, 0, 2, 3, 4, 5, 6, 5, 8, 9, 10, 11, 12, 13]


def test_images_without_the_field_lead_groups_of_their_own():
    hits = [hit(0, "a"), hit(1, "a", brand="x"), hit(2, "a"), hit(3, "a", brand="x")]
    assert leaders(hits, Field(("brand",)), never) == [0, 1, 2, 1]
    assert leaders(hits, Field(built_in="width"), never) == [0, 0, 0, 0]


def test_pictures_of_one_colour_are_told_apart_by_their_bytes_alone():
    assert leaders([hit(0, "a", FLAT), hit(1, "b", FLAT), hit(2, "a", FLAT)], DUPLICATES, never) == [0, 1, 0]
