"""A vector file written in parts: a stopped or killed writer goes on, and until the end nothing stands in its place."""

from dataclasses import replace

import numpy as np
import pytest

from ml_api.errors import ConfigError
from ml_api.vectors.files.columns import record_of
from ml_api.vectors.files.opening import open_vectors
from ml_api.vectors.files.parts import PartsWriter
from ml_api.vectors.files.transfer import EXPORTED_AT_ONCE, FileStore, export
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, gallery, unit_vectors

SOURCE = "a corpus"
NAMES = ("v.parquet", "v.jsonl", "v.csv", "v.avro", "v")


@pytest.fixture(params=NAMES)
def target(request, tmp_path):
    return tmp_path / request.param


def keys_in(path):
    return [record_of(row.fields).key for row in open_vectors(path).read()]


def test_parts_become_one_file_and_nothing_else_stays(target):
    records, vectors = gallery(30)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records[:10], vectors[:10])
        assert not target.exists()
        writer.add(records[10:], vectors[10:])
        writer.finish()
    assert keys_in(target) == [one.key for one in records]
    assert list(target.parent.iterdir()) == [target]


def test_a_writer_that_died_is_gone_on_with(target):
    records, vectors = gallery(30)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records[:10], vectors[:10])
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert (writer.written.rows, writer.written.last) == (10, records[9].id)
        writer.add(records[10:], vectors[10:])
        writer.finish()
    assert keys_in(target) == [one.key for one in records]


def test_what_a_dead_writer_had_not_noted_is_written_again(target):
    records, vectors = gallery(20)
    parts = target.with_name(f"{target.name}.parts")
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records[:10], vectors[:10])
        noted = (parts / "state.json").read_bytes()
        writer.add(records[10:], vectors[10:])
    (parts / "state.json").write_bytes(noted)  # it died between writing the part and noting it
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert writer.written.parts == 1
        writer.add(records[10:], vectors[10:])
        writer.finish()
    assert keys_in(target) == [one.key for one in records]


def test_parts_of_a_writer_that_died_at_the_very_end_are_not_taken_for_another_files(target):
    records, vectors = gallery(4)
    parts = target.with_name(f"{target.name}.parts")
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records, vectors)
    (parts / "state.json").unlink()
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert writer.written.parts == 0
        writer.add(records[:2], vectors[:2])
        writer.finish()
    assert keys_in(target) == [one.key for one in records[:2]]


def test_parts_of_something_else_are_not_gone_on_with(tmp_path):
    target = tmp_path / "v.parquet"
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(*gallery(2))
    for model, source in ((MODEL, "another corpus"), ("another@2", SOURCE)):
        with pytest.raises(ConfigError, match=f"holds parts of a file with the vectors of {SOURCE} by {MODEL}"):
            PartsWriter.open(target, model, source).__enter__()
    (tmp_path / "v.parquet.parts" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be gone on with; remove it"):
        PartsWriter.open(target, MODEL, SOURCE).__enter__()


def test_a_file_has_one_writer_at_a_time(tmp_path):
    target = tmp_path / "v.parquet"
    being_written = pytest.raises(ConfigError, match=r"v\.parquet is being written by another process")
    with PartsWriter.open(target, MODEL, SOURCE), being_written:
        PartsWriter.open(target, MODEL, SOURCE).__enter__()
    PartsWriter.open(target, MODEL, SOURCE).__enter__()


def test_a_file_is_replaced_and_a_folder_is_not(tmp_path):
    for name in NAMES:
        target = tmp_path / name
        with PartsWriter.open(target, MODEL, SOURCE) as writer:
            writer.add(*gallery(3))
            writer.finish()
    with PartsWriter.open(tmp_path / "v.csv", MODEL, SOURCE) as writer:
        writer.add(*gallery(2))
        writer.finish()
    assert len(keys_in(tmp_path / "v.csv")) == 2
    with pytest.raises(ConfigError, match="exists already; remove it, or name another folder"):
        PartsWriter.open(tmp_path / "v", MODEL, SOURCE).__enter__()
    (tmp_path / "w.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder; name a file"):
        PartsWriter.open(tmp_path / "w.csv", MODEL, SOURCE).__enter__()
    with pytest.raises(ConfigError, match="an ending of no vector file"):
        PartsWriter.open(tmp_path / "v.xlsx", MODEL, SOURCE).__enter__()


def test_nothing_to_write_is_said_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(ConfigError, match="no image of a corpus"),
        PartsWriter.open(tmp_path / "v.csv", MODEL, SOURCE) as writer,
    ):
        writer.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def store():
    store = MemoryStore()
    store.ensure(MODEL, DIM)
    store.upsert(*gallery(EXPORTED_AT_ONCE + 500))
    return store


def test_an_export_that_is_stopped_goes_on_where_it_was(tmp_path, store):
    target = tmp_path / "v.parquet"
    told = []
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert not export(store, writer, told.append, lambda: len(told) == 2)
    assert not target.exists()
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert export(store, writer, told.append, lambda: False)
    assert told == sorted(set(told))  # each row once
    found = {record_of(row.fields).id: row.vector for row in open_vectors(target).read()}
    expected = store.vectors(list(found))
    assert len(found) == store.count()
    for image_id, vector in found.items():
        np.testing.assert_array_equal(vector, expected[image_id])


def file_store(writer):
    store = FileStore(writer)
    store.ensure(MODEL, DIM)
    return store


def test_a_store_that_is_a_file_writes_what_a_sync_gives_it(tmp_path):
    target = tmp_path / "v.parquet"
    records, vectors = gallery(600)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        store = file_store(writer)
        for start in range(0, 600, 32):
            store.upsert(records[start : start + 32], vectors[start : start + 32])
        store.flush()
        assert writer.written.rows == 600
        store.finish()
    assert keys_in(target) == [one.key for one in records]


def test_a_store_that_is_a_file_goes_on_as_a_sync_does(target):
    """Unchanged images stay, changed ones are replaced, those that are gone are left out: as if it had been written at once."""
    records, vectors = gallery(30)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        store = file_store(writer)
        for start in (0, 10):
            store.upsert(records[start : start + 10], vectors[start : start + 10])
            store.flush()
    changed, other = [replace(one, version="v2") for one in records[3:5]], unit_vectors(2, seed=9)
    for last in (False, True):  # killed once more, before it left anything out
        with PartsWriter.open(target, MODEL, SOURCE) as writer:
            store = file_store(writer)
            expected = {one.key: one.version for one in records[:20]} | ({one.key: "v2" for one in changed} if last else {})
            assert {entry.key: (entry.version, entry.digest) for entry in store.entries()} == {
                k: (v, "") for k, v in expected.items()
            }
            store.upsert(changed, other)
            store.flush()
            if last:
                store.upsert(records[20:], vectors[20:])
                store.delete([one.id for one in records[5:12]])
                store.finish()
    found = {record_of(row.fields).id: (record_of(row.fields), row.vector.tobytes()) for row in open_vectors(target).read()}
    kept = (
        [*zip(records, vectors, strict=True)][:3] + [*zip(records, vectors, strict=True)][12:] + [*zip(changed, other, strict=True)]
    )
    assert found == {one.id: (one, vector.tobytes()) for one, vector in kept}
    assert open_vectors(target).rows == len(kept)


def test_a_file_of_which_all_images_are_gone_is_not_written(target):
    records, vectors = gallery(5)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        store = file_store(writer)
        store.upsert(records, vectors)
        store.delete([one.id for one in records])
        with pytest.raises(ConfigError, match="no image of a corpus"):
            store.finish()
    assert list(target.parent.iterdir()) == []


def test_a_full_part_that_cannot_be_written_leaves_the_state_as_it_was(tmp_path):
    target = tmp_path / "v.parquet"
    records, vectors = gallery(4)
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records[:2], vectors[:2])
        (tmp_path / "v.parquet.parts" / "unfinished").mkdir()
        (tmp_path / "v.parquet.parts" / "unfinished" / "left behind").touch()
        writer.add(records[2:], vectors[2:])
        assert writer.written.parts == 2
        with pytest.raises(ValueError, match="length"):
            writer.add(records, unit_vectors(3))
        assert writer.written.parts == 2


def test_a_part_that_was_being_replaced_when_its_writer_was_killed_is_there_again(tmp_path):
    """Only folders are replaced in two steps."""
    target, (records, vectors) = tmp_path / "v", gallery(20)
    parts = target.with_name("v.parts")
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records, vectors)
        (parts / "part-000001").rename(parts / "before-part-000001")  # it died here, with what is to replace it "unfinished"
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        assert [record.key for record in writer.records()] == [record.key for record in records]
        writer.clean({records[0].id})
        writer.finish()
    assert keys_in(target) == [one.key for one in records[1:]]
    assert list(tmp_path.iterdir()) == [target]


def test_arrays_that_are_whole_are_said_to_be_so_though_their_writer_was_killed_behind_them(tmp_path):
    target, (records, vectors) = tmp_path / "v", gallery(4)
    parts = target.with_name("v.parts")
    with PartsWriter.open(target, MODEL, SOURCE) as writer:
        writer.add(records, vectors)
        noted = (parts / "state.json").read_bytes()
        writer.finish()
    parts.mkdir()
    (parts / "state.json").write_bytes(noted)
    with pytest.raises(ConfigError, match="is whole; an earlier writer was killed"), PartsWriter.open(target, MODEL, SOURCE):
        pass
    assert list(tmp_path.iterdir()) == [target]
    assert keys_in(target) == [one.key for one in records]
