"""What every VectorStore does, on each implementation."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, DeadlineExceeded, InvalidInput, StoreUnavailable
from ml_api.records import Entry, image_id
from ml_api.vectors.base import MAX_KEY_BYTES, MAX_METADATA_BYTES, MAX_WINDOW, SearchOptions
from ml_api.vectors.files.intake import Intake
from ml_api.vectors.files.opening import open_vectors
from ml_api.vectors.files.parts import PartsWriter
from ml_api.vectors.files.transfer import export, import_
from tests.contracts.conftest import BACKENDS
from tests.contracts.samples import DIM, MODEL, axis, gallery, record, unit_vectors

HOSTILE_KEYS = [
    "plain.jpg",
    'it\'s "quoted".jpg',
    "back\\slash\\\\twice.jpg",
    "new\nline\tand tab.jpg",
    "id in ['x'] or 1 == 1",
    "emoji 🐕‍🦺 e\u0301 ﷽ \U0010ffff.jpg",
    "percent %s {braces} $meta `ticks`.jpg",
    "nul\x00byte.jpg",
    " leading and trailing ",
    "",
]

HOSTILE_IDS = [
    "x'] or width >= 0 or id in ['y",
    '"] or 1 == 1 or id in ["',
    "A" * 32,
    "g" * 32,
    "0" * 31,
    "0" * 33,
    "0" * 31 + "\n",
    "",
    "\u0660" * 32,
]


def test_a_stored_record_comes_back_as_it_was(store):
    stored = record("dogs/rex.jpg", width=123, height=45_678, metadata={"price": 9.5, "tags": ["red", "ü"], "deep": {"n": None}})
    store.upsert([stored], axis(0))
    assert store.get([stored.id]) == {stored.id: stored}


def test_what_was_edited_comes_back_beside_the_metadata(store):
    edited = record("a.jpg", metadata={"price": 1, "tag": "x"}, edited={"price": "0123456789abcdef", "gone": "", "ü": ""})
    store.upsert([edited], axis(0))
    assert store.get([edited.id]) == {edited.id: edited}
    [[hit]] = store.search(axis(0), SearchOptions(1))
    assert hit.record == edited
    store.upsert([replace(edited, edited={})], axis(0))
    assert store.get([edited.id])[edited.id].edited == {}


def test_metadata_have_room_beside_what_was_edited(store):
    edited = {f"field {number}": "0123456789abcdef" for number in range(100)}
    most = MAX_METADATA_BYTES - len(json.dumps({"x": "", "$edited": edited}).encode())
    fits = record("a.jpg", metadata={"x": "y" * most}, edited=edited)
    store.upsert([fits], axis(0))
    assert store.get([fits.id]) == {fits.id: fits}
    with pytest.raises(InvalidInput, match="bytes of JSON"):
        store.upsert([replace(fits, metadata={"x": "y" * (most + 1)})], axis(0))


def test_only_one_at_a_time_reads_and_writes_back(store):
    with store.exclusive(), ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: store.exclusive(Deadline.within(0.01)).__enter__())
        with pytest.raises(DeadlineExceeded):
            second.result()
    with store.exclusive(Deadline.within(60)):
        store.upsert([record("a.jpg")], axis(0))


def test_a_stored_vector_comes_back_exactly(store):
    records, vectors = gallery(20)
    store.upsert(records, vectors)
    found = store.vectors([one.id for one in records])
    for one, vector in zip(records, vectors, strict=True):
        np.testing.assert_array_equal(found[one.id], vector)
        assert found[one.id].dtype == np.float32


def test_ids_that_are_not_stored_are_absent(store):
    store.upsert([record("here")], axis(0))
    asked = [image_id("here"), image_id("not here"), image_id("here")]
    assert list(store.get(asked)) == [image_id("here")]
    assert list(store.vectors(asked)) == [image_id("here")]
    assert store.get([]) == {}


def test_the_nearest_comes_first_with_its_score(store):
    query = np.zeros((1, DIM), dtype=np.float32)
    query[0, :2] = (0.8, 0.6)
    store.upsert([record("x"), record("y"), record("z")], np.concatenate([axis(0), axis(1), axis(2)]))
    [hits] = store.search(query, SearchOptions(3))
    assert [hit.record.key for hit in hits] == ["x", "y", "z"]
    assert [hit.score for hit in hits] == pytest.approx([0.8, 0.6, 0.0], abs=1e-6)


def test_a_hit_carries_the_whole_record(store):
    stored = record("dogs/rex.jpg", metadata={"a": 1})
    store.upsert([stored], axis(0))
    [[hit]] = store.search(axis(0), SearchOptions(5))
    assert hit.record == stored


def test_each_query_of_a_call_gets_its_own_answer(store):
    records, vectors = gallery(50)
    store.upsert(records, vectors)
    answers = store.search(vectors, SearchOptions(1))
    assert [[hit.record.id for hit in hits] for hits in answers] == [[one.id] for one in records]


def test_no_query_vectors_get_no_answers(store):
    assert store.search(np.empty((0, DIM), dtype=np.float32), SearchOptions(3)) == []


def test_an_empty_store_answers_with_no_hits(store):
    assert store.search(unit_vectors(2), SearchOptions(3)) == [[], []]
    assert store.count() == 0
    assert list(store.entries()) == []


def test_pages_of_a_search_continue_each_other(store):
    records, vectors = gallery(30)
    store.upsert(records, vectors)
    [whole] = store.search(vectors[:1], SearchOptions(12))
    [first] = store.search(vectors[:1], SearchOptions(5))
    [rest] = store.search(vectors[:1], SearchOptions(7, 5))
    assert [hit.record.id for hit in first + rest] == [hit.record.id for hit in whole]


def test_an_exact_search_ranks_all_records_and_pages_through_them(store):
    records, vectors = gallery(80)
    store.upsert(records, vectors)
    store.delete([records[3].id])
    order = [one.id for one, _ in sorted(zip(records, vectors @ vectors[0], strict=True), key=lambda pair: -pair[1])]
    order.remove(records[3].id)
    found = [store.search(vectors[:1], SearchOptions(50, offset, exact=True))[0] for offset in (0, 50, 100)]
    assert [hit.record.id for hits in found for hit in hits] == order
    assert found[0][0].record == records[0]
    assert found[0][0].score == pytest.approx(1, abs=1e-6)
    assert store.search(np.empty((0, DIM), dtype=np.float32), SearchOptions(3, exact=True)) == []


def test_an_exact_search_of_nothing_finds_nothing_and_ends_at_its_deadline(store):
    assert store.search(unit_vectors(2), SearchOptions(3, exact=True)) == [[], []]
    with pytest.raises(DeadlineExceeded):
        store.search(unit_vectors(1), SearchOptions(3, exact=True), Deadline.within(0))


def test_the_effort_of_a_search_may_be_set(store):
    records, vectors = gallery(40)
    store.upsert(records, vectors)
    for effort in (1, 100):
        [hits] = store.search(vectors[:1], SearchOptions(5, effort=effort))
        assert hits[0].record == records[0]
    with pytest.raises(ValueError, match="effort 0"):
        SearchOptions(5, effort=0)


def test_a_window_as_large_as_allowed_is_answered(store):
    records, vectors = gallery(10)
    store.upsert(records, vectors)
    [hits] = store.search(vectors[:1], SearchOptions(MAX_WINDOW - 4, 4))
    assert len(hits) == 6


def test_upsert_replaces_the_record_and_its_vector(store):
    store.upsert([record("moved", metadata={"old": 1})], axis(0))
    changed = record("moved", version="v2", digest="e" * 64, metadata={"new": 2})
    store.upsert([changed], axis(1))
    assert store.get([changed.id]) == {changed.id: changed}
    np.testing.assert_array_equal(store.vectors([changed.id])[changed.id], axis(1)[0])
    assert store.count() == 1
    [hits] = store.search(axis(0), SearchOptions(5))
    assert [hit.score for hit in hits] == pytest.approx([0], abs=1e-6)


def test_of_one_id_twice_in_a_call_the_last_counts(store):
    twice = [record("same", version="first"), record("same", version="last")]
    store.upsert(twice, np.concatenate([axis(0), axis(1)]))
    assert store.count() == 1
    assert store.get([twice[0].id])[twice[0].id].version == "last"
    np.testing.assert_array_equal(store.vectors([twice[0].id])[twice[0].id], axis(1)[0])


def test_what_was_deleted_is_nowhere_to_be_found(store):
    records, vectors = gallery(10)
    store.upsert(records, vectors)
    gone, kept = records[:4], records[4:]
    store.delete([one.id for one in gone])
    assert store.get([one.id for one in records]).keys() == {one.id for one in kept}
    assert {hit.record.id for hits in store.search(vectors, SearchOptions(10)) for hit in hits} == {one.id for one in kept}
    assert {entry.id for entry in store.entries()} == {one.id for one in kept}
    assert store.count() == 6


def test_a_scan_shows_every_record_with_its_vector_in_the_order_of_ids(store):
    records, vectors = gallery(60)
    records[7] = replace(records[7], metadata={"tags": ["ü", None], "deep": {"n": 1.5}})
    store.upsert(records, vectors)
    given = {one.id: (one, vector) for one, vector in zip(records, vectors, strict=True)}
    seen = [(one, vector) for some, rows in store.scan() for one, vector in zip(some, rows, strict=True)]
    assert [one for one, _ in seen] == [given[image_id][0] for image_id in sorted(given)]
    for one, vector in seen:
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, given[one.id][1])


def test_a_scan_goes_on_behind_an_id(store):
    records, vectors = gallery(20)
    store.upsert(records, vectors)
    ids = sorted(one.id for one in records)
    assert [one.id for some, _ in store.scan(ids[11]) for one in some] == ids[12:]
    assert list(store.scan(ids[-1])) == []


def test_a_scan_takes_more_records_than_a_page_holds(store):
    records, vectors = gallery(1100)
    store.upsert(records, vectors)
    seen = [one.id for some, _ in store.scan() for one in some]
    assert seen == sorted(one.id for one in records)


def test_deletes_are_seen_at_once_every_time(store):
    records, vectors = gallery(6)
    for _ in range(6):
        store.upsert(records, vectors)
        store.delete([one.id for one in records[:3]])
        assert store.get([one.id for one in records]).keys() == {one.id for one in records[3:]}


def test_deleting_what_is_not_stored_is_no_error(store):
    store.upsert([record("here")], axis(0))
    store.delete([image_id("elsewhere")])
    store.delete([])
    assert store.count() == 1


def test_a_deleted_record_can_be_stored_again(store):
    one = record("phoenix")
    store.upsert([one], axis(0))
    store.delete([one.id])
    store.upsert([one], axis(1))
    assert store.get([one.id]) == {one.id: one}
    assert store.count() == 1


def test_entries_name_every_image_once(store):
    records, vectors = gallery(1500)
    store.upsert(records, vectors)
    entries = list(store.entries())
    assert len(entries) == 1500
    assert set(entries) == {Entry(one.id, one.key, one.version, one.digest) for one in records}


def test_a_perceptual_hash_is_kept_with_its_record_whatever_the_version(store):
    hashed = [
        record("hashed", phash="0123456789abcdef"),
        record("hashed with its middles", version="v" * 400, phash="0123456789abcdef" * 3),
        record("hashed, of no version", version="", phash="f" * 16),
        record("of an odd version", version="a\x1fb\x1f"),
        record("of an odd version, hashed", version="\x1f\x1f", phash="0" * 16),
        record("of a long version", version="v" * 480, phash="a" * 16),
        record("not hashed"),
    ]
    store.upsert(hashed, unit_vectors(len(hashed)))
    assert store.get([one.id for one in hashed]) == {one.id: one for one in hashed}
    expected = {Entry(one.id, one.key, one.version, one.digest, phash=one.phash) for one in hashed}
    assert set(store.entries()) == expected
    with pytest.raises(InvalidInput, match="perceptual hash of 'wrong' is not 16 hex digits"):
        store.upsert([record("wrong", phash="xyz")], unit_vectors(1))


def test_images_are_found_by_the_digests_of_their_files(store):
    records = [record(f"copy {number}", digest="ab"[number % 2] * 64) for number in range(7)]
    records += [record("alone", digest="c" * 64), record("asked for by nobody", digest="e" * 64)]
    store.upsert(records, unit_vectors(len(records)))
    store.delete([records[0].id])
    found = store.of_digests(["a" * 64, "c" * 64, "f" * 64, "a" * 64])
    assert [entry.id for entry in found] == sorted(one.id for one in records[1:] if one.digest[0] in "ac")
    assert {entry.digest for entry in found} == {"a" * 64, "c" * 64}
    assert store.of_digests([]) == []
    for hostile in ("x", "'] or id > '", "A" * 64):
        with pytest.raises(ValueError, match="64 hex digits"):
            store.of_digests([hostile])


def test_a_file_that_changed_is_found_by_its_new_digest_alone(store):
    """Whether its rows are in files or in memory yet."""
    for digest, other in ("ab", "ba"):
        store.upsert([record("changed", digest=digest * 64)], unit_vectors(1))
        assert [entry.key for entry in store.of_digests([digest * 64])] == ["changed"]
        assert store.of_digests([other * 64]) == []
        store.flush()
        assert [entry.key for entry in store.of_digests([digest * 64, other * 64])] == ["changed"]


def test_entries_come_in_the_order_of_ids_between_two_bounds(store):
    records, vectors = gallery(300)
    store.upsert(records, vectors)
    ids = sorted(one.id for one in records)
    assert [entry.id for entry in store.entries()] == ids
    assert [entry.id for entry in store.entries(ids[99])] == ids[100:]
    assert [entry.id for entry in store.entries(until=ids[99])] == ids[:100]
    assert [entry.id for entry in store.entries(ids[99], ids[199])] == ids[100:200]
    assert [entry.id for entry in store.entries("7" + "f" * 31)] == [one for one in ids if one[0] in "89abcdef"]
    assert list(store.entries(ids[-1])) == []


def test_pages_name_every_image_once_though_others_come_and_go(store):
    records, vectors = gallery(120)
    store.upsert(records, vectors)
    staying, seen, after = {one.id for one in records[20:]}, [], ""
    while page := store.page(after, 7):
        seen += [entry.id for entry in page]
        after = page[-1].id
        if len(seen) == 35:
            store.delete([one.id for one in records[:20]])
            store.upsert([replace(one, version="v2") for one in records[20:60]], vectors[20:60])
            store.upsert([record(f"new {number}") for number in range(30)], unit_vectors(30, seed=5))
    assert seen == sorted(set(seen))
    assert staying <= set(seen)


def test_a_page_ends_with_the_images(store):
    assert store.page("", 5) == []
    records, vectors = gallery(6)
    store.upsert(records, vectors)
    entries = list(store.entries())
    assert store.page("", 6) == store.page("", MAX_WINDOW) == entries
    assert store.page(entries[3].id, 5) == entries[4:]


@pytest.mark.parametrize("hostile", [text for text in HOSTILE_IDS if text])
def test_a_bound_that_is_no_id_never_reaches_the_store(store, hostile):
    for call in (lambda: store.page(hostile, 5), lambda: list(store.entries(hostile)), lambda: list(store.entries("", hostile))):
        with pytest.raises(ValueError, match="not an image id"):
            call()


@pytest.mark.parametrize("limit", [0, -1, MAX_WINDOW + 1])
def test_a_page_has_a_size_that_the_store_can_give(store, limit):
    with pytest.raises(ValueError, match="a page of"):
        store.page("", limit)


def test_what_was_written_is_seen_before_and_after_a_flush(store):
    records, vectors = gallery(60)
    store.upsert(records[:30], vectors[:30])
    store.flush()
    store.upsert(records[30:], vectors[30:])
    store.delete([records[0].id])
    for _ in range(2):
        assert store.count() == 59
        [hits] = store.search(vectors[:1], SearchOptions(60))
        assert {hit.record.id for hit in hits} == {one.id for one in records[1:]}
        store.flush()


def test_any_text_can_be_a_key(store):
    records = [record(key, metadata={key: key}) for key in HOSTILE_KEYS]
    vectors = unit_vectors(len(records))
    store.upsert([record("bystander"), *records], np.concatenate([-vectors[:1], vectors]))
    assert store.get([one.id for one in records]) == {one.id: one for one in records}
    assert [hits[0].record for hits in store.search(vectors, SearchOptions(1))] == records
    assert {entry.key for entry in store.entries()} == {"bystander", *HOSTILE_KEYS}
    for one in records:
        store.delete([one.id])
    assert [entry.key for entry in store.entries()] == ["bystander"]


def test_an_id_that_is_not_hex_is_a_value_error_and_changes_nothing(store):
    store.upsert([record("bystander")], axis(0))
    good = image_id("bystander")
    for text in HOSTILE_IDS:
        for call in (store.get, store.vectors, store.delete):
            with pytest.raises(ValueError, match="32 hex digits"):
                call([good, text])
        with pytest.raises(ValueError, match="32 hex digits"):
            store.upsert([replace(record("x"), id=text)], axis(0))
    assert store.count() == 1


def test_the_longest_key_and_the_largest_metadata_are_kept(store):
    key = "ü" * (MAX_KEY_BYTES // 2)
    stored = record(key, metadata={"note": "n" * (MAX_METADATA_BYTES - len('{"note": ""}'))})
    store.upsert([stored], axis(0))
    assert store.get([stored.id]) == {stored.id: stored}


def test_many_large_records_fit_in_one_call(store):
    records = [record(f"large {number}", metadata={"note": "ü" * 30_000}) for number in range(600)]
    vectors = unit_vectors(600)
    store.upsert(records, vectors)
    assert store.count() == 600
    assert store.get([one.id for one in records]).keys() == {one.id for one in records}
    [hits] = store.search(vectors[:1], SearchOptions(600))
    assert len(hits) == 600


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "ü" * (MAX_KEY_BYTES // 2) + "x"}, "4097 bytes"),
        ({"key": "lone \ud83d"}, "Unicode"),
        ({"metadata": {"note": "n" * MAX_METADATA_BYTES}}, "bytes of JSON"),
        ({"metadata": {"price": float("nan")}}, "plain JSON"),
        ({"metadata": {"when": object()}}, "plain JSON"),
        ({"metadata": {"big": 2**63}}, "plain JSON"),
        ({"metadata": {"lone": "\ud83d"}}, "plain JSON"),
    ],
)
def test_what_no_store_can_keep_is_refused_before_anything_is_written(store, change, words):
    with pytest.raises(InvalidInput, match=words):
        store.upsert([record("innocent"), replace(record("guilty"), **change)], unit_vectors(2))
    assert store.count() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(store, bad):
    broken = unit_vectors(2)
    broken[1, 3] = bad
    with pytest.raises(ValueError, match="finite"):
        store.upsert([record("a"), record("b")], broken)
    with pytest.raises(ValueError, match="finite"):
        store.search(broken, SearchOptions(1))
    assert store.count() == 0


def test_vectors_of_another_shape_are_refused(store):
    with pytest.raises(ValueError, match="shape"):
        store.upsert([record("a")], unit_vectors(1, dim=DIM + 1))
    with pytest.raises(ValueError, match="shape"):
        store.search(unit_vectors(1)[0], SearchOptions(1))
    with pytest.raises(ValueError, match="2 records with 1 vectors"):
        store.upsert([record("a"), record("b")], unit_vectors(1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_writers_and_readers_in_many_threads_lose_nothing(make_store, backend):
    """Six writers and two readers: unprotected, Milvus Lite loses rows at this. In a new collection: while a server is busy, it
    goes on counting some of what was deleted before."""
    store = make_store(backend)
    store.ensure(MODEL, DIM)
    records, vectors = gallery(600)
    running = threading.Event()
    running.set()

    def read():
        seen = 0
        while running.is_set():
            assert all(len(hits) <= 5 for hits in store.search(vectors[:2], SearchOptions(5)))
            counted = store.count()
            assert counted >= seen, "rows vanished"
            seen = counted

    def write(first):
        for start in range(first, 600, 60):
            store.upsert(records[start : start + 10], vectors[start : start + 10])
            store.flush() if start % 120 == 0 else None

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for written in [pool.submit(write, first) for first in range(0, 60, 10)]:
            written.result()
        running.clear()
        for done in readers:
            done.result()
    assert {entry.id for entry in store.entries()} == {one.id for one in records}
    assert store.count() == 600


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_the_images_come_from_is_kept_with_them(make_store, backend):
    store = make_store(backend)
    store.ensure(MODEL, DIM)
    assert store.source() == ""
    records, vectors = gallery(3)
    store.upsert(records, vectors)
    for location in ("/a", "/photos of 'Zoë' \\ \"2024\" 🐶"):
        store.set_source(location)
        assert store.source() == location
    assert store.get([records[0].id]) == {records[0].id: records[0]}
    if backend.startswith("milvus"):
        store.close()
        again = make_store(backend)
        again.ensure(MODEL, DIM)
        assert again.source() == location
        assert again.count() == 3


def test_ensuring_again_is_no_error(store):
    store.upsert([record("kept")], axis(0))
    store.ensure(MODEL, DIM)
    assert store.count() == 1


@pytest.mark.parametrize(("model", "dim"), [("other-model@1", DIM), (MODEL, DIM + 1)])
def test_an_open_store_refuses_another_model(store, model, dim):
    with pytest.raises(ConfigError):
        store.ensure(model, dim)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_store_that_is_not_open_says_so(make_store, backend):
    store = make_store(backend)
    for call in (
        store.count,
        store.ping,
        store.flush,
        lambda: store.search(axis(0), SearchOptions(1)),
        lambda: store.get([]),
        lambda: next(store.entries()),
        lambda: store.page("", 1),
        lambda: store.upsert([record("a")], axis(0)),
    ):
        with pytest.raises(StoreUnavailable, match="not open"):
            call()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_closed_store_can_be_closed_again_and_opened_again(make_store, backend):
    store = make_store(backend)
    store.close()
    store.ensure(MODEL, DIM)
    store.ping()
    store.upsert([record("kept")], axis(0))
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        store.ping()
    store.ensure(MODEL, DIM)
    assert store.count() == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_opening_from_many_threads_at_once_opens_once(make_store, backend):
    store = make_store(backend)
    with ThreadPoolExecutor(8) as pool:
        for opened in [pool.submit(store.ensure, MODEL, DIM) for _ in range(8)]:
            opened.result()
    store.ping()


READS = {
    "search": lambda store, deadline: store.search(axis(0), SearchOptions(1), deadline=deadline),
    "get": lambda store, deadline: store.get([image_id("kept")], deadline),
    "vectors": lambda store, deadline: store.vectors([image_id("kept")], deadline),
    "count": lambda store, deadline: store.count(deadline),
    "page": lambda store, deadline: store.page("", 1, deadline),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_read_keeps_its_deadline(store, read):
    store.upsert([record("kept")], axis(0))
    assert read(store, Deadline.within(60))
    for too_short_s in (0, 1e-9):
        with pytest.raises(DeadlineExceeded):
            read(store, Deadline.within(too_short_s))
    assert read(store, Deadline.within(60))


def test_the_backend_has_a_name(store):
    assert store.backend in BACKENDS


def test_what_any_store_exports_another_imports_and_both_hold_the_same(store, make_store, tmp_path):
    records, vectors = gallery(700)
    records[5] = replace(records[5], metadata={"tags": ["ü", None], "deep": {"n": 0.1}}, indexed_at=1_700_000_000.123456)
    store.upsert(records, vectors)
    path = tmp_path / "vectors.avro"
    with PartsWriter.open(path, MODEL, "a collection") as writer:
        assert export(store, writer, lambda _rows: None, lambda: False)
    other = make_store("milvus-lite")
    other.ensure(MODEL, DIM)
    import_(open_vectors(path), other, Intake(MODEL, DIM, pytest.fail), lambda _rows: None, lambda: False)
    [(theirs, their_vectors)], [(ours, our_vectors)] = _all(store), _all(other)
    assert ours == theirs
    np.testing.assert_array_equal(our_vectors.view(np.uint32), their_vectors.view(np.uint32))


def _all(store):
    pages = list(store.scan())
    return [([one for some, _ in pages for one in some], np.concatenate([vectors for _, vectors in pages]))]
