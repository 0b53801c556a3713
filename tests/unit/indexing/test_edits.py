"""Edited metadata: a merge patch is applied, and a sync keeps it, field by field, until the corpus says something new of one."""

import threading

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded, InvalidInput, NotFound
from ml_api.indexing.edits import edit, merged, patch_metadata, upsert_keeping_edits, with_edits_of, with_stored_edits
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, axis, record


def soon():
    return Deadline.within(60)


RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_merge_patch_does_what_the_rfc_says(target, patch, result):
    """Its appendix A."""
    assert merged(target, patch) == result


@pytest.fixture
def store():
    store = MemoryStore()
    store.ensure(MODEL, DIM)
    return store


def synced(store, facts, **changes):
    """What a sync writes when the corpus says `facts`; the metadata that are stored then."""
    upsert_keeping_edits(store, [record("a.jpg", metadata=facts, **changes)], axis(0))
    return store.get([image_id("a.jpg")])[image_id("a.jpg")].metadata


def patched(store, patch):
    return patch_metadata(store, image_id("a.jpg"), patch, soon()).metadata


def test_an_edit_changes_the_record_and_leaves_the_vector_as_it_was(store):
    vector = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]], dtype=np.float32)
    before = record("a.jpg", metadata={"price": 10, "old": 1})
    store.upsert([before], vector)
    after = patch_metadata(store, before.id, {"price": 12, "old": None, "new": "x"}, soon())
    assert after.metadata == {"price": 12, "new": "x"}
    assert store.get([before.id])[before.id] == after
    assert (after.version, after.digest, after.indexed_at) == (before.version, before.digest, before.indexed_at)
    np.testing.assert_array_equal(store.vectors([before.id])[before.id], vector[0])


def test_a_sync_keeps_edits_whatever_happens_to_the_file(store):
    synced(store, {"price": 10, "name": "shoe"})
    patched(store, {"price": 12, "tag": "sale", "name": None})
    for version in ("v2", "v3"):
        assert synced(store, {"price": 10, "name": "shoe"}, version=version, digest="e" * 64) == {"price": 12, "tag": "sale"}


def test_what_the_corpus_says_anew_of_a_field_counts_and_other_edits_stay(store):
    synced(store, {"price": 10, "name": "shoe"})
    patched(store, {"price": 12, "tag": "sale", "name": None})
    assert synced(store, {"price": 11, "name": "shoe"}) == {"price": 11, "tag": "sale"}
    assert synced(store, {"price": 10, "name": "boot"}) == {"price": 10, "name": "boot", "tag": "sale"}
    assert synced(store, {"price": 10, "name": "boot", "tag": "new"}) == {"price": 10, "name": "boot", "tag": "new"}
    assert synced(store, {"price": 10}) == {"price": 10}


def test_a_field_that_leaves_the_corpus_takes_its_edit_along(store):
    synced(store, {"price": 10})
    patched(store, {"price": 12})
    assert synced(store, {}) == {}


def test_a_field_is_edited_twice_and_kept_as_last(store):
    synced(store, {"price": 10})
    patched(store, {"price": 12})
    patched(store, {"price": 13})
    assert synced(store, {"price": 10}) == {"price": 13}
    assert synced(store, {"price": 12}) == {"price": 12}


def test_null_in_place_of_metadata_removes_them_all(store):
    synced(store, {"a": 1, "b": 2})
    assert patched(store, None) == {}
    assert synced(store, {"a": 1, "b": 2}) == {}
    assert synced(store, {"a": 1, "b": 3}) == {"b": 3}


def test_metadata_that_come_with_an_upload_count_more_than_edits_before(store):
    synced(store, {"price": 10})
    patched(store, {"price": 12, "tag": "sale"})
    metadata, edited = edit({"price": 10}, {"price": 15})
    upsert_keeping_edits(store, [record("a.jpg", metadata=metadata, edited=edited)], axis(1))
    assert synced(store, {"price": 10}) == {"price": 15, "tag": "sale"}


def test_edits_that_no_longer_fit_beside_the_corpus_are_given_up_and_told(store, caplog):
    synced(store, {})
    patched(store, {"long": "x" * 40_000})
    assert synced(store, {"longer": "y" * 40_000}) == {"longer": "y" * 40_000}
    assert "what was edited there is lost" in caplog.text


def test_a_record_without_edits_is_left_as_it_is():
    new, stored = record("a.jpg", metadata={"a": 1}), record("a.jpg", metadata={"b": 2})
    assert with_stored_edits(new, stored) is new
    assert with_stored_edits(new, None) is new


def test_an_image_that_is_not_there_is_not_edited(store):
    with pytest.raises(NotFound):
        patched(store, {"a": 1})


@pytest.mark.parametrize("patch", [{"x": "y" * 70_000}, {"n": float("nan")}, {"n": 2**63}, {"$edited": {}}, {"a": "\ud83d"}])
def test_metadata_that_cannot_be_stored_change_nothing(store, patch):
    synced(store, {"price": 10})
    with pytest.raises(InvalidInput) as refused:
        patched(store, patch)
    assert refused.value.slug == "invalid-metadata"
    assert store.get([image_id("a.jpg")])[image_id("a.jpg")].metadata == {"price": 10}


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("levels", [65, 500, 5000])
def test_metadata_nested_too_deeply_are_refused(store, levels):
    synced(store, {})
    assert patched(store, nested(64)) == nested(64)
    with pytest.raises(InvalidInput):
        patched(store, nested(levels))


def test_edits_at_once_lose_none(store):
    synced(store, {})
    threads = [threading.Thread(target=patched, args=(store, {f"field {number}": number})) for number in range(16)]
    threads += [threading.Thread(target=synced, args=(store, {})) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert synced(store, {}) == {f"field {number}": number for number in range(16)}


def test_an_edit_waits_for_others_until_its_deadline(store):
    synced(store, {})
    with store.exclusive(), pytest.raises(DeadlineExceeded):
        patch_metadata(store, image_id("a.jpg"), {"a": 1}, Deadline.within(0.01))


def beside(corpus_says, edited, before):
    """What becomes of a record that another model made, beside a stored one with the edits `before`."""
    new = record("a.jpg", metadata=corpus_says, edited=edited)
    return with_edits_of(new, before).metadata


def test_vectors_of_another_model_take_over_edits_also_those_that_followed(store):
    synced(store, {"price": 1, "colour": "red"})
    patched(store, {"price": 2})
    first = store.get([image_id("a.jpg")])[image_id("a.jpg")]
    assert beside({"price": 1, "colour": "red"}, {}, first) == {"price": 2, "colour": "red"}
    patched(store, {"price": 3})
    again = store.get([image_id("a.jpg")])[image_id("a.jpg")]
    assert beside({"price": 2, "colour": "red"}, first.edited, again) == {"price": 3, "colour": "red"}
    assert beside({"price": 9, "colour": "red"}, {}, again) == {"price": 9, "colour": "red"}, "the corpus says something new"
