"""Which images are told as duplicates, in which groups, with which evidence."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.duplicates import DuplicateFinder, DuplicateThresholds, Evidence, Kind
from ml_api.duplicates.finder import BATCH, MAX_DUPLICATES, NEIGHBOURS
from ml_api.images.perceptual import FLAT, Turn
from ml_api.records import ImageRecord, image_id
from ml_api.vectors.memory import MemoryStore

DIM = 16
THRESHOLDS = DuplicateThresholds(near_bits=4, near_similarity=0.8, similarity=0.95)
UNLIKE = "5a5a5a5a5a5a5a5a"


def record(key, phash="", digest=None):
    number = image_id(key)
    return ImageRecord(number, key, "v", digest or number * 2, 4, 3, 0.0, phash=phash)


def store_of(rows, metric="COSINE"):
    """Rows of records and vectors, which are normalised here."""
    store = MemoryStore(metric)
    store.ensure("model@1", DIM)
    vectors = np.array([vector for _, vector in rows], dtype=np.float32)
    store.upsert([one for one, _ in rows], vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return store


def beside(vector, cosine, seed=0):
    """A vector at this cosine to a unit vector."""
    other = np.random.default_rng(seed).normal(size=DIM)
    other -= (other @ vector) * vector
    return cosine * vector + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


def axis(number):
    return np.eye(DIM)[number]


def pages(store, limit=1000, metric="COSINE", thresholds=THRESHOLDS):
    finder, after, found = DuplicateFinder(store, metric), "", []
    while True:
        found.append(finder.page(after, limit, thresholds, Deadline.within(60)))
        after = found[-1].next
        if not after:
            return found


def groups(store, **how):
    return [group for page in pages(store, **how) for group in page.groups]


def keys(group):
    return {group.image.key, *(duplicate.record.key for duplicate in group.duplicates)}


def test_the_same_bytes_are_one_group_whatever_their_number():
    rows = [(record(f"copy {number}", digest="a" * 64), axis(1)) for number in range(NEIGHBOURS + 40)]
    rows += [(record(f"other {number}"), axis(number % 8 + 2) + 0.5 * axis(number // 8 + 10)) for number in range(20)]
    [group] = [group for group in groups(store_of(rows), thresholds=replace(THRESHOLDS, similarity=1)) if group.kind is Kind.EXACT]
    assert len(keys(group)) == NEIGHBOURS + 40
    assert group.image.key == "copy 0"
    assert not group.more
    assert {(duplicate.evidence.similarity, duplicate.evidence.bits) for duplicate in group.duplicates} == {(1.0, None)}


@pytest.mark.parametrize("at_once", [1, 1000])
def test_of_equal_files_the_first_is_the_one_to_keep(at_once):
    """Ids are hashes: their order says nothing."""
    times = {
        "uploads/image.jpg": 1.0,
        "copy of b.jpg": 4.0,
        "a/b.jpg": 2.0,
        "uploads/image (2).jpg": 3.0,
        "z.jpg": 2.0,
        "y.jpg": 5.0,
    }
    rows = [(replace(record(key, digest="a" * 64), indexed_at=time), axis(0)) for key, time in times.items()]
    [group] = [group for group in groups(store_of(rows), limit=at_once) if group.kind is Kind.EXACT]
    kept = ["a/b.jpg", "z.jpg", "copy of b.jpg", "y.jpg", "uploads/image.jpg", "uploads/image (2).jpg"]
    assert [group.image.key, *(duplicate.record.key for duplicate in group.duplicates)] == kept


def test_a_group_of_very_many_says_that_there_are_more():
    rows = [(record(f"blank {number}", phash="0" * 16, digest="b" * 64), axis(0)) for number in range(MAX_DUPLICATES + 2)]
    [group] = groups(store_of(rows))
    assert len(group.duplicates) == MAX_DUPLICATES
    assert group.more
    assert group.duplicates[0].evidence.bits == 0


def test_hash_and_embedding_together_make_a_pair_near_and_the_embedding_alone_similar():
    rows = [
        (record("original", phash="0123456789abcdef"), axis(0)),
        (record("recompressed", phash="0123456789abcdee"), beside(axis(0), 0.9)),
        (record("other model's friend", phash="0123456789abcdef"), beside(axis(0), 0.7, seed=1)),
        (record("lookalike", phash=UNLIKE), beside(axis(0), 0.97, seed=2)),
        (record("stranger", phash=UNLIKE), axis(5)),
    ]
    found = {group.kind: keys(group) for group in groups(store_of(rows))}
    assert found == {Kind.NEAR: {"original", "recompressed"}, Kind.SIMILAR: {"original", "lookalike"}}


def test_a_pair_without_hashes_can_be_similar_only():
    rows = [(record("a"), axis(0)), (record("b", phash="0" * 16), beside(axis(0), 0.99)), (record("c"), beside(axis(0), 0.9, 7))]
    page = pages(store_of(rows))[0]
    assert [(group.kind, keys(group)) for group in page.groups] == [(Kind.SIMILAR, {"a", "b"})]
    assert page.groups[0].duplicates[0].evidence.bits is None
    assert page.groups[0].duplicates[0].evidence.turn is None
    assert (page.compared, page.without_hash) == (3, 2)


@pytest.mark.parametrize("other", [FLAT, FLAT * 3, "0000000000000003"])
def test_pictures_of_one_colour_are_not_near_because_their_hashes_are_equal(other):
    """A blank page is no copy of another one in another colour, which a model sees as rather alike."""
    assert groups(store_of([(record("red", phash=FLAT * 3), axis(0)), (record("blue", phash=other), beside(axis(0), 0.9))])) == []
    [group] = groups(store_of([(record("a", phash=FLAT * 3), axis(0)), (record("b", phash=other), beside(axis(0), 0.96))]))
    assert group.kind is Kind.SIMILAR
    assert group.duplicates[0].evidence.bits is None


def test_the_evidence_names_the_turn():
    mirrored = f"{0x0123456789ABCDEF ^ 0x5555555555555555:016x}"
    store = store_of([(record("a", phash="0123456789abcdef"), axis(0)), (record("b", phash=mirrored), beside(axis(0), 0.9))])
    [group] = groups(store)
    assert group.kind is Kind.NEAR
    [duplicate] = group.duplicates
    assert (duplicate.evidence.bits, duplicate.evidence.turn) == (0, Turn.MIRRORED)
    assert duplicate.evidence.similarity == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_similarities_are_cosines_in_every_metric(metric):
    store = store_of([(record("a"), axis(0)), (record("b"), beside(axis(0), 0.96)), (record("c"), beside(axis(0), 0.8, 3))], metric)
    [group] = groups(store, metric=metric)
    assert keys(group) == {"a", "b"}
    assert group.duplicates[0].evidence.similarity == pytest.approx(0.96, abs=1e-5)


def test_equal_bytes_are_compared_once():
    rows = [(record(f"a{number}", digest="a" * 64), axis(0)) for number in range(3)]
    rows += [(record(f"b{number}", digest="b" * 64), beside(axis(0), 0.99)) for number in range(3)]
    found = groups(store_of(rows))
    assert sorted(group.kind for group in found) == ["exact", "exact", "similar"]
    [similar] = [group for group in found if group.kind is Kind.SIMILAR]
    assert len(similar.duplicates) == 1


def pairs_of(rows, kind):
    """Of each pair of different bytes, by brute force."""
    finder = {one.key: (one, vector / np.linalg.norm(vector)) for one, vector in rows}
    for (one, first), (other, second) in combinations(finder.values(), 2):
        if one.digest != other.digest and THRESHOLDS.kind(Evidence(float(first @ second))) is kind:
            yield one.key, other.key


def components(links):
    """What is connected, as sets of keys."""
    sets = []
    for link in links:
        joined = {*link}.union(*(one for one in sets if one & {*link}))
        sets = [one for one in sets if not one & joined] + [joined]
    return {frozenset(one) for one in sets}


@pytest.mark.parametrize("limit", [1, 7, BATCH, 1000])
def test_groups_connect_what_pairs_connect_however_they_are_paged(limit):
    chance = np.random.default_rng(9)
    centres = chance.normal(size=(12, DIM))
    rows = [(record(f"p{number}"), centres[number % 12] + 0.18 * chance.normal(size=DIM)) for number in range(90)]
    found = pages(store_of(rows), limit=limit)
    assert all(page.compared <= limit for page in found)
    assert sum(page.compared for page in found) == 90
    links = list(pairs_of(rows, Kind.SIMILAR))
    told = [(group.image.key, duplicate.record.key) for page in found for group in page.groups for duplicate in group.duplicates]
    assert len(told) == len(set(told)) < len(links)
    assert {frozenset(pair) for pair in told} <= {frozenset(pair) for pair in links}
    assert components(told) == components(links)


def test_a_page_ends_when_half_its_time_is_over():
    class SlowStore(MemoryStore):
        def search(self, vectors, options, deadline=None):
            late.append(deadline)
            object.__setattr__(deadline, "at", deadline.at - 40)
            return super().search(vectors, options, deadline)

    late = []
    store = SlowStore()
    store.ensure("model@1", DIM)
    store.upsert([record(str(number)) for number in range(3 * BATCH)], np.tile(np.eye(DIM, dtype=np.float32), (6, 1)))
    page = DuplicateFinder(store, "COSINE").page("", 1000, replace(THRESHOLDS, similarity=1.0), Deadline.within(60))
    assert page.compared == BATCH
    assert page.next


def test_an_empty_collection_has_none():
    store = MemoryStore()
    store.ensure("model@1", DIM)
    [page] = pages(store)
    assert (page.groups, page.compared, page.next) == ([], 0, "")
