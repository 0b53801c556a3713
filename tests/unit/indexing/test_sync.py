"""A sync makes the store equal to the folder, whatever happened before and whatever lies in the folder."""

import io
import json
import os
import shutil
import unicodedata
from collections import Counter
from contextlib import closing
from dataclasses import replace
from secrets import token_hex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sqlalchemy import select

from ml_api import tracing
from ml_api.corpus.base import CorpusFile, Coverage, PassedOver
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.metadata import Catalogue
from ml_api.database.tables import FailureRow
from ml_api.deadline import Deadline
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import (
    CorpusUnavailable,
    InsufficientStorage,
    ModelOutOfMemory,
    NonFiniteVector,
    Overloaded,
    StoreUnavailable,
    SyncRefused,
)
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.images.perceptual import STORED_CHARS
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.preview import preview
from ml_api.indexing.report import SyncReport
from ml_api.indexing.sync import Indexer
from ml_api.indexing.tasks import BATCH
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import ReasonCode, SyncOutcome
from tests.databases import new_database
from tests.unprivileged import open_folder, without_privileges

DECODER = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))


class CountingEncoder(FakeEncoder):
    def __init__(self):
        super().__init__()
        self.batches = []

    def embed(self, items):
        self.batches.append(len(items))
        return super().embed(items)


class Named(list):
    """A Report in memory."""

    def write(self, files):
        self.extend(files)


class World:
    """A folder, a store, and a sync between them."""

    corpus_class = FolderCorpus
    catalogue = None
    decoder = DECODER
    made_with = "these limits"

    def __init__(self, root, database):
        self.root = root
        self.database = database
        self.encoder = CountingEncoder()
        self.metrics = Metrics()
        self.files = Named()
        self.use(MemoryStore())

    def use(self, store):
        self.store = store
        store.ensure(self.encoder.model.model_id, self.encoder.model.dim)

    def draw(self, key, colour=(200, 30, 30), size=(40, 30)):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    def model(self):
        return FakePreprocessor(), self.encoder

    def corpus(self):
        return self.corpus_class(self.root, catalogue=self.catalogue)

    def indexer(self, load_model=None, *, retry=False, rehash=False):
        corpus = self.corpus()
        failures = StoredFailures(self.database, corpus.location, self.made_with, retry=retry)
        return Indexer(corpus, self.store, load_model or self.model, self.decoder, self.metrics, failures=failures, rehash=rehash)

    def sync(self, *, retry=False, rehash=False, **consent):
        """Its report; the files that it names are in `files`."""
        indexer, self.files = self.indexer(retry=retry, rehash=rehash), Named()
        return indexer.run(indexer.plan(Consent(**consent)), files=self.files)

    def failures(self):
        """Of the last sync, by key."""
        return {file.key: file.reason for file in self.files if file.outcome is SyncOutcome.FAILED}

    def preview(self, **consent):
        corpus = self.corpus()
        return preview(corpus, self.store, StoredFailures(self.database, corpus.location, self.made_with), Consent(**consent))

    def outcomes(self, **consent):
        return {outcome.value: number for outcome, number in self.sync(**consent).outcomes.items() if number}

    def metadata(self, key):
        return self.store.get([image_id(key)])[image_id(key)].metadata

    def stored(self):
        return {entry.key: entry.digest for entry in self.store.entries()}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One for all: what it keeps it keeps for each corpus apart."""
    with closing(new_database(tmp_path_factory.mktemp("state") / "state.sqlite3")) as opened:
        yield opened


@pytest.fixture
def tmp_path(tmp_path_factory):
    """Of a name of its own: `database` knows corpora by it, and pytest gives those of tests that passed to tests of like names."""
    return tmp_path_factory.mktemp(token_hex(8), numbered=False)


@pytest.fixture
def world(tmp_path, database):
    root = tmp_path / "corpus"
    root.mkdir()
    return World(root, database)


def test_new_files_are_added_with_what_they_are(world):
    world.draw("a/one.png", size=(40, 30))
    (world.root / "metadata.jsonl").write_text('{"key": "a/one.png", "caption": "one"}\n')
    assert world.outcomes() == {"added": 1}
    record = world.store.get([image_id("a/one.png")])[image_id("a/one.png")]
    assert (record.key, record.width, record.height) == ("a/one.png", 40, 30)
    assert record.metadata == {"caption": "one"}


def test_an_unchanged_corpus_needs_neither_reading_nor_a_model(world):
    world.draw("a.png")
    world.sync()

    def no_model():
        raise AssertionError("an idle sync loaded the model")

    indexer = world.indexer(no_model)
    assert indexer.run(indexer.plan()).outcomes == {SyncOutcome.UNCHANGED: 1}


def test_a_changed_file_is_replaced(world):
    path = world.draw("a.png", (200, 30, 30))
    world.sync()
    before = world.store.vectors([image_id("a.png")])[image_id("a.png")]
    world.draw("a.png", (30, 30, 200))
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"replaced": 1}
    assert not np.array_equal(before, world.store.vectors([image_id("a.png")])[image_id("a.png")])


def test_a_touched_file_is_read_but_not_embedded_again(world):
    path = world.draw("a.png")
    world.sync()
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"unchanged": 1}
    assert world.encoder.batches == [1]
    assert world.outcomes() == {"unchanged": 1}
    assert world.preview().to_read == 0, "the new time was not remembered"


def test_new_metadata_replaces_the_record_and_keeps_the_vector(world):
    world.draw("a.png")
    world.sync()
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "new"}\n')
    assert world.outcomes() == {"replaced": 1}
    assert world.encoder.batches == [1]
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "new"}


def parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("metadata.csv", lambda price: f"key,price\na.png,{price}\n".encode()),
        ("metadata.jsonl", lambda price: f'{{"key": "a.png", "price": {price}}}\n'.encode()),
        ("metadata.parquet", lambda price: parquet([{"key": "a.png", "price": price}])),
        ("../catalogue.csv", lambda price: f"key;price\na;{price}\n".encode("utf-16")),
    ],
)
def test_changed_metadata_of_every_source_reach_the_record_and_cost_no_embedding(world, name, written):
    world.catalogue = Catalogue(str(world.root / "../catalogue.csv")) if name == "../catalogue.csv" else None
    world.draw("a.png")
    (world.root / name).write_bytes(written(5))
    world.sync()
    vector = world.store.vectors([image_id("a.png")])[image_id("a.png")]
    assert world.outcomes() == {"unchanged": 1}
    (world.root / name).write_bytes(written(7))
    assert world.outcomes() == {"replaced": 1}
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"price": 7}
    assert world.encoder.batches == [1]
    np.testing.assert_array_equal(world.store.vectors([image_id("a.png")])[image_id("a.png")], vector)


def edit(world, key, patch):
    return patch_metadata(world.store, image_id(key), patch, Deadline.within(60))


def test_edited_metadata_outlive_syncs_until_the_catalogue_says_something_new(world):
    path = world.draw("a.png")
    rows = world.root / "metadata.csv"
    rows.write_text("key,price,name\na.png,10,shoe\n")
    world.sync()
    edit(world, "a.png", {"price": 12, "tag": "sale"})
    assert world.outcomes() == {"unchanged": 1}
    assert world.preview().to_read == 0, "an edit makes no work for the next sync"
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"unchanged": 1}
    assert world.metadata("a.png") == {"price": 12, "tag": "sale", "name": "shoe"}
    world.draw("a.png", (1, 2, 3))
    assert world.outcomes() == {"replaced": 1}
    assert world.metadata("a.png") == {"price": 12, "tag": "sale", "name": "shoe"}
    rows.write_text("key,price,name\na.png,11,shoe\n")
    assert world.outcomes() == {"replaced": 1}
    assert world.metadata("a.png") == {"price": 11, "tag": "sale", "name": "shoe"}
    assert world.encoder.batches == [1, 1]


def test_a_moved_image_keeps_its_edits_and_a_copy_has_none(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    edit(world, "a.png", {"tag": "sale"})
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    assert world.outcomes() == {"duplicate": 1, "unchanged": 2}
    assert world.metadata("copy.png") == {}
    (world.root / "copy.png").unlink()
    assert world.outcomes() == {"removed": 1, "unchanged": 2}
    shutil.move(world.root / "a.png", world.root / "moved.png")
    assert world.outcomes() == {"moved": 1, "unchanged": 1}
    assert world.metadata("moved.png") == {"tag": "sale"}


def test_a_catalogue_that_is_away_for_a_while_changes_nothing(world):
    export = world.root / "../catalogue.csv"
    world.catalogue = Catalogue(str(export))
    world.draw("a.png")
    (world.root / "metadata.csv").write_text("key,n\na.png,1\n")
    export.write_text("id,price\na,5\n")
    world.sync()
    export.unlink()
    assert world.outcomes() == {"unchanged": 1}
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"n": 1, "id": "a", "price": 5}


@pytest.mark.parametrize("value", ["NaN", "99999999999999999999", f'"{"x" * 70_000}"'], ids=["NaN", "too large", "too long"])
def test_metadata_that_cannot_be_stored_are_reported_and_the_image_is_indexed(world, value):
    world.draw("a.png")
    (world.root / "metadata.jsonl").write_text(f'{{"key": "a.png", "value": {value}}}\n')
    report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1}
    [problem] = report.problems
    assert "a.png" in problem
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {}


def test_a_picture_of_an_earlier_version_gets_its_perceptual_hash_when_its_file_is_read_again(world):
    path = world.draw("a.png")
    world.sync()
    [hashed] = world.store.entries()
    assert len(hashed.phash) == STORED_CHARS
    record = replace(world.store.get([hashed.id])[hashed.id], phash="")
    world.store.upsert([record], world.store.vectors([hashed.id])[hashed.id][None])
    world.encoder.batches.clear()
    os.utime(path, (1, 1))
    world.sync()
    [again] = world.store.entries()
    assert again.phash == hashed.phash
    assert world.encoder.batches == []


@pytest.mark.parametrize("phash", ["", "0123456789abcdef"])
def test_images_of_an_earlier_version_get_their_hashes_when_that_is_asked_for_and_are_not_embedded(world, phash):
    for number in range(3):
        world.draw(f"{number}.png", (number, 90, 90))
    world.sync()
    hashed = {entry.key: entry.phash for entry in world.store.entries()}
    old = world.store.get([image_id("0.png")])[image_id("0.png")]
    world.store.upsert([replace(old, phash=phash)], world.store.vectors([old.id])[old.id][None])
    world.encoder.batches.clear()
    assert world.preview().to_read == 0
    assert world.indexer(rehash=True).preview(Consent()).to_read == 1

    assert world.outcomes(rehash=True) == {"unchanged": 3}

    assert {entry.key: entry.phash for entry in world.store.entries()} == hashed
    assert world.encoder.batches == []
    assert world.indexer(rehash=True).preview(Consent()).to_read == 0


def test_images_whose_metadata_cannot_be_stored_are_named_up_to_twenty_and_then_counted(world):
    rows = []
    for number in range(23):
        world.draw(f"{number:02}.png", (number, 30, 30))
        rows.append(json.dumps({"key": f"{number:02}.png", "text": "x" * 70_000}) + "\n")
    (world.root / "metadata.jsonl").write_text("".join(rows))
    problems = world.preview().problems
    assert len(problems) == 21
    assert problems[-1] == "of 3 more images the metadata cannot be stored"


@pytest.mark.parametrize("error", [Overloaded, InsufficientStorage])
def test_a_file_that_cannot_be_decoded_now_is_told_and_tried_again(world, error):
    """The whole sync failed where the system's limit for the size of files kept an image from the process that decodes it."""
    world.draw("a.png")
    big = world.draw("big.png", (1, 2, 3), (400, 300))

    class Full(InlineDecoder):
        def decode(self, data, *rest):
            if data == big.read_bytes():
                raise error("no room")
            return super().decode(data, *rest)

    world.decoder = Full(DECODER.limits)
    assert world.outcomes() == {"added": 1, "failed": 1}
    assert [file.code for file in world.files if file.outcome is SyncOutcome.FAILED] == [error.code]
    world.decoder = DECODER
    assert world.outcomes() == {"added": 1, "unchanged": 1}


def test_a_removed_file_is_removed(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3)).unlink()
    world.draw("b.png", (1, 2, 3))
    world.sync()
    (world.root / "b.png").unlink()
    assert world.outcomes() == {"removed": 1, "unchanged": 1}
    assert set(world.stored()) == {"a.png"}


def test_a_moved_file_takes_its_vector_along(world):
    world.draw("old/a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    shutil.move(world.root / "old/a.png", world.root / "new.png")
    report = world.sync()
    assert report.outcomes == {SyncOutcome.MOVED: 1, SyncOutcome.UNCHANGED: 1}
    assert report.done == report.total == 2
    assert world.encoder.batches == [2]
    assert set(world.stored()) == {"new.png", "b.png"}


def test_equal_files_that_move_have_moved_all(world):
    for key in ("old/a.png", "old/b.png"):
        world.draw(key)
    world.sync()
    (world.root / "old").rename(world.root / "new")
    shutil.copy(world.root / "new/a.png", world.root / "new/c.png")
    assert world.outcomes() == {"moved": 2, "duplicate": 1}
    assert set(world.stored()) == {"new/a.png", "new/b.png", "new/c.png"}
    reasons = sorted(file.reason for file in world.files if file.outcome is SyncOutcome.MOVED)
    assert reasons == ["was old/a.png", "was old/b.png"]


def test_a_file_whose_time_went_backwards_is_read_again(world):
    path = world.draw("a.png", (200, 30, 30))
    world.sync()
    world.draw("a.png", (30, 30, 200))
    os.utime(path, (1, 1))
    assert world.outcomes() == {"replaced": 1}


class Meddling(FolderCorpus):
    """Somebody changes the folder while it is listed and read."""

    on_listed = staticmethod(lambda _key: None)
    on_read = staticmethod(lambda _key, data: data)

    def list(self, coverage=None, prefix=""):
        for file in super().list(coverage, prefix):
            yield file
            self.on_listed(file.key)

    def read(self, key, max_bytes, deadline=None):
        return self.on_read(key, super().read(key, max_bytes, deadline))


def test_a_file_that_is_replaced_after_it_was_listed_is_looked_at_again(world):
    path = world.draw("a.png", (200, 30, 30))

    class Replaced(Meddling):
        def read(self, key, max_bytes, deadline=None):
            world.draw("a.png", (30, 30, 200))
            os.utime(path, ns=(1, 1))
            return super().read(key, max_bytes, deadline)

    world.corpus_class = Replaced
    assert world.outcomes() == {"added": 1}
    world.corpus_class = FolderCorpus
    assert world.preview().to_read == 1
    assert world.outcomes() == {"unchanged": 1}, "its bytes are those that were read"
    assert world.preview().to_read == 0


def test_a_file_that_is_read_while_it_is_written_is_read_again(world):
    path = world.draw("a.png")
    whole = path.read_bytes()

    class HalfWritten(Meddling):
        @staticmethod
        def on_read(_key, data):
            os.utime(path, ns=(1, 1))  # the rest is written now
            return data[: len(data) // 2]

    world.corpus_class = HalfWritten
    assert world.outcomes() == {"failed": 1}
    world.corpus_class = FolderCorpus
    assert path.read_bytes() == whole
    assert world.outcomes() == {"added": 1}


def test_a_file_that_goes_before_it_is_read_takes_what_is_stored_with_it(world):
    for number, key in enumerate(("a.png", "b.png")):
        os.utime(world.draw(key, (number, 30, 30)), ns=(1, 1))
    world.sync()
    os.utime(world.root / "b.png", ns=(2, 2))

    class Going(Meddling):
        @staticmethod
        def on_listed(key):
            if key == "b.png":
                (world.root / key).unlink()

    world.corpus_class = Going
    assert world.outcomes() == {"unchanged": 1, "failed": 1}
    assert [file.code for file in world.files] == ["not-found"]
    assert set(world.stored()) == {"a.png"}


def test_a_file_that_moves_behind_the_listings_back_is_found_by_the_next_sync(world):
    for number, key in enumerate(("b.png", "c.png")):
        world.draw(key, (number, 30, 30))
    world.sync()

    class Moving(Meddling):
        @staticmethod
        def on_listed(key):
            if key == "b.png" and (world.root / "c.png").exists():
                (world.root / "c.png").rename(world.root / "a.png")

    world.corpus_class = Moving
    world.sync()
    world.sync()
    assert set(world.stored()) == {"a.png", "b.png"}


def test_every_file_that_was_not_simply_unchanged_is_named_with_its_outcome(world):
    for number, key in enumerate(("same.png", "changed.png", "old.png", "gone.png")):
        world.draw(key, (number, 30, 30))
    world.sync()
    world.draw("changed.png", (99, 99, 99))
    (world.root / "old.png").rename(world.root / "new.png")
    (world.root / "gone.png").unlink()
    shutil.copy(world.root / "same.png", world.root / "copy.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    world.draw("fresh.png", (1, 2, 3))
    report = world.sync()
    assert sorted((file.key, file.outcome.value, file.code) for file in world.files) == [
        ("broken.jpg", "failed", "image-format"),
        ("changed.png", "replaced", None),
        ("copy.png", "duplicate", None),
        ("fresh.png", "added", None),
        ("gone.png", "removed", None),
        ("new.png", "moved", None),
    ]
    assert report.done == report.total == len(world.files) + 1


def test_two_files_that_swap_names_swap_vectors(world):
    a, b = world.draw("a.png", (200, 30, 30)), world.draw("b.png", (30, 30, 200))
    world.sync()
    vectors = world.store.vectors([image_id("a.png"), image_id("b.png")])
    a.rename(world.root / "c.tmp")
    b.rename(a)
    (world.root / "c.tmp").rename(b)
    os.utime(a, ns=(1, 1))
    os.utime(b, ns=(2, 2))
    assert world.outcomes() == {"replaced": 2}
    swapped = world.store.vectors([image_id("a.png"), image_id("b.png")])
    np.testing.assert_allclose(swapped[image_id("a.png")], vectors[image_id("b.png")], atol=1e-6)
    np.testing.assert_allclose(swapped[image_id("b.png")], vectors[image_id("a.png")], atol=1e-6)


def test_equal_files_are_all_found_and_embedded_once_they_are_known(world):
    world.draw("a.png")
    world.sync()
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    assert world.outcomes() == {"duplicate": 1, "unchanged": 1}
    assert world.encoder.batches == [1]
    assert set(world.stored()) == {"a.png", "copy.png"}


def test_a_broken_file_is_reported_and_stops_nothing(world):
    world.draw("a.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    (world.root / "empty.png").write_bytes(b"")
    (world.root / "huge.png").write_bytes(b"x" * 100_001)
    report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1, SyncOutcome.FAILED: 3}
    reasons = world.failures()
    assert set(reasons) == {"broken.jpg", "empty.png", "huge.png"}
    assert "100000" in reasons["huge.png"].replace(",", "")


def test_a_file_that_broke_no_longer_shows_what_it_was(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    (world.root / "a.png").write_bytes(b"broken now")
    assert world.outcomes() == {"failed": 1, "unchanged": 1}
    assert set(world.stored()) == {"b.png"}


class Dazzled(CountingEncoder):
    """Makes nothing finite of an image that is wholly white."""

    def embed(self, items):
        if any(np.all(item.features > 254) for item in items):
            raise NonFiniteVector
        return super().embed(items)


class SmallMemory(CountingEncoder):
    """Has room for `fits` images at once."""

    def __init__(self, fits):
        super().__init__()
        self._fits = fits

    def embed(self, items):
        vectors = super().embed(items)
        if len(items) > self._fits:
            raise ModelOutOfMemory
        return vectors


def test_a_batch_that_does_not_fit_into_memory_is_embedded_in_parts(world):
    world.encoder = SmallMemory(fits=2)
    for number in range(7):
        world.draw(f"{number}.png", (200, 10 * number, 30))

    assert world.outcomes() == {"added": 7}
    assert world.encoder.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_model_without_memory_for_a_single_image_ends_the_sync(world):
    world.encoder = SmallMemory(fits=0)
    world.draw("a.png")

    with pytest.raises(ModelOutOfMemory):
        world.sync()


def test_an_image_that_the_model_makes_nothing_of_is_reported_and_stops_nothing(world):
    world.encoder = Dazzled()
    for number in range(5):
        world.draw(f"{number}.png", (200, 10 * number, 30))
    world.sync()
    world.draw("1.png", (255, 255, 255))
    world.draw("new.png", (30, 30, 200))

    world.sync()

    assert [key for key, reason in world.failures().items() if "not finite" in reason] == ["1.png"]
    assert sorted(world.stored()) == ["0.png", "2.png", "3.png", "4.png", "new.png"]


class UnreadableCorpus(FolderCorpus):
    """A folder on a disk that fails."""

    def read(self, key, max_bytes):
        raise CorpusUnavailable("cannot be read: Input/output error")


def test_a_file_that_cannot_be_read_keeps_what_is_stored(world):
    path = world.draw("a.png")
    world.sync()
    os.utime(path, ns=(1, 1))
    world.corpus_class = UnreadableCorpus
    world.sync()
    assert world.failures() == {"a.png": "cannot be read: Input/output error"}
    assert set(world.stored()) == {"a.png"}


@pytest.fixture
def shared_world(database):
    with open_folder() as folder:
        yield World(folder, database)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_what_is_indexed_of_a_folder_that_cannot_be_listed_stays(shared_world, mode):
    world = shared_world
    for key in ("a.png", "locked/b.png", "locked/below/c.png", "gone.png"):
        world.draw(key, (len(key), 30, 30))
    world.sync()
    (world.root / "gone.png").unlink()
    world.draw("new.png", (1, 2, 3))
    (world.root / "locked").chmod(mode)
    with without_privileges():
        report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1, SyncOutcome.REMOVED: 1, SyncOutcome.UNCHANGED: 1, SyncOutcome.UNLISTED: 2}
    assert report.done == report.total == 5
    assert [problem.partition(":")[2] for problem in report.coverage.problems()] == [" Permission denied"]
    assert set(world.stored()) == {"a.png", "locked/b.png", "locked/below/c.png", "new.png"}
    assert [(file.key, file.code, file.reason) for file in world.files if file.outcome is SyncOutcome.UNLISTED] == [
        (key, "folder-unlisted", "Permission denied") for key in ("locked/b.png", "locked/below/c.png")
    ]
    (world.root / "locked").chmod(0o755)
    assert world.outcomes() == {"unchanged": 4}


def test_an_unreadable_metadata_file_takes_no_metadata_away(shared_world):
    world = shared_world
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    (world.root / "metadata.csv").write_text("key,caption\na.png,kept\n")
    world.sync()
    (world.root / "metadata.csv").chmod(0)
    with without_privileges():
        report = world.sync()
    assert report.outcomes == {SyncOutcome.UNCHANGED: 2}
    assert len(report.problems) == 1
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "kept"}
    (world.root / "metadata.csv").unlink()
    assert world.outcomes() == {"replaced": 1, "unchanged": 1}


def test_keys_of_metadata_match_in_whatever_form_the_file_system_has_them(world):
    for form in ("NFC", "NFD"):
        world.draw(f"{form}/{unicodedata.normalize(form, 'café')}.png", (len(form), 2, 3))
    (world.root / "metadata.jsonl").write_text(
        "".join(json.dumps({"key": f"{form}/café.png", "form": form}) + "\n" for form in ("NFC", "NFD"))
    )
    assert world.sync().problems == ()
    records = world.store.get([entry.id for entry in world.store.entries()]).values()
    assert sorted(record.metadata["form"] for record in records) == ["NFC", "NFD"]


def test_keys_of_no_image_are_one_problem(world):
    world.draw("a.png")
    rows = "".join(f"{number}.png,x\n" for number in range(300))
    (world.root / "metadata.csv").write_text(f"key,caption\na.png,x\n{rows}")
    [problem] = world.sync().problems
    told, rule = problem.split("; ")
    assert told == "300 of 301 keys are of no image here, such as '0.png', '1.png', '10.png'"
    assert rule == "a row names its image by the first that it has of the fields key, id, product_id, sku"


def test_a_folder_without_images_is_named_with_what_was_seen(world):
    for name in ("a.txt", "b.txt", "c.raw", ".hidden.png"):
        (world.root / name).write_bytes(b"x")
    assert world.sync().summary() == (f"no images in {world.root}; passed over: 3 with other endings (.txt 2, .raw 1), 1 hidden")


def test_what_was_left_out_is_counted_in_plain_words(world):
    coverage = Coverage(Counter({PassedOver.LINK: 1, PassedOver.SPECIAL: 2}), unlisted={"a/": "no", "b/": "no", "c.png": "no"})
    report = SyncReport(str(world.root), coverage)
    assert report.summary() == f"no images in {world.root}; passed over: 2 no regular files, 1 link; not listed: 2 folders, 1 file"


def test_a_sync_that_is_stopped_before_its_first_batch_does_not_deny_that_there_are_images(world):
    world.draw("a.png")
    indexer = world.indexer()
    assert indexer.run(indexer.plan(), stop=lambda: True).summary() == "nothing indexed"


def test_a_name_that_is_not_utf8_is_reported(world):
    world.draw("a.png")
    (world.root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    world.sync()
    [(key, reason)] = world.failures().items()
    assert "UTF-8" in reason
    assert key == "caf\\xe9.png", "a key is text that everything can store"


def test_an_empty_folder_does_not_empty_the_store_by_accident(world):
    world.draw("a.png").rename(world.root.parent / "kept.png")
    shutil.copy(world.root.parent / "kept.png", world.root / "a.png")
    world.sync()
    (world.root / "a.png").unlink()
    with pytest.raises(SyncRefused, match="--allow-empty"):
        world.sync()
    assert world.outcomes(empty=True) == {"removed": 1}
    assert world.stored() == {}


@pytest.mark.parametrize(("key", "words"), [("x" * 5000 + ".png", "5,004 bytes"), ("a\0b.png", "NUL")])
def test_a_key_that_cannot_be_stored_is_reported_and_stops_nothing(world, key, words):
    """Buckets take keys that no folder does."""

    class Bucket(FolderCorpus):
        def list(self, coverage=None, prefix=""):
            yield from super().list(coverage, prefix)
            yield CorpusFile(key, "1")

    world.draw("a.png")
    world.corpus_class = Bucket
    assert world.outcomes() == {"added": 1, "failed": 1}
    assert words in world.failures()[key]


class ChangingStore(MemoryStore):
    """What somebody else does to it while a sync has its plan and reads files."""

    meanwhile = None

    def set_source(self, location):
        if self.meanwhile is not None:
            self.meanwhile()
        super().set_source(location)


def test_an_image_that_is_written_while_a_sync_runs_is_not_removed_by_it(world):
    """It was uploaded again, and the plan does not know."""
    world.use(ChangingStore())
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    for key in ("a.png", "b.png"):
        (world.root / key).unlink()
    record = world.store.get([image_id("a.png")])[image_id("a.png")]
    vector = world.store.vectors([record.id])[record.id]
    world.store.set_source("")
    world.store.meanwhile = lambda: world.store.upsert([replace(record, version="9-9")], vector[np.newaxis])
    world.sync(empty=True)
    assert set(world.stored()) == {"a.png"}


def test_a_vector_that_is_deleted_before_it_is_taken_over_costs_this_sync_the_file_and_no_more(world):
    world.use(ChangingStore())
    world.draw("a.png")
    world.sync()
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    world.store.set_source("")
    world.store.meanwhile = lambda: world.store.delete([image_id("a.png")])
    assert world.outcomes() == {"unchanged": 1, "failed": 1}
    assert [file.code for file in world.files] == ["changed-meanwhile"]
    world.store.meanwhile = None
    assert world.outcomes() == {"added": 2}


class TestPreview:
    def test_it_tells_what_a_sync_would_do_and_changes_nothing(self, world):
        for number in range(7):
            world.draw(f"old/{number}.png", (number, 30, 30))
        (world.root / "broken.jpg").write_bytes(b"not an image")
        world.sync()
        before = world.stored()
        (world.root / "old").rename(world.root / "new")
        (world.root / "new/0.png").unlink()
        world.draw("fresh.png", (1, 2, 3))
        found = world.preview()
        assert {outcome.value: number for outcome, number in found.counts.items() if number} == {
            "added": 1,
            "moved": 6,
            "removed": 1,
            "failed": 1,
        }
        assert found.examples == {
            SyncOutcome.ADDED: ["fresh.png"],
            SyncOutcome.MOVED: [f"old/{number}.png → new/{number}.png" for number in range(1, 6)],
            SyncOutcome.REMOVED: ["old/0.png"],
            SyncOutcome.FAILED: ["broken.jpg"],
        }
        assert (found.to_read, found.objection) == (7, "")
        assert world.stored() == before
        assert world.outcomes() == {"added": 1, "moved": 6, "removed": 1, "failed": 1}

    def test_it_tells_what_the_guard_would_say(self, world):
        world.draw("a.png")
        world.sync()
        (world.root / "a.png").unlink()
        found = world.preview()
        assert "--allow-empty" in found.objection
        assert any("--allow-empty" in line for line in found.lines())
        assert found.as_json()["refused"] == found.objection
        assert world.preview(empty=True).objection == ""

    def test_it_is_json_and_text(self, world):
        world.draw("a.png")
        (world.root / "notes.txt").write_text("")
        found = world.preview()
        assert json.loads(json.dumps(found.as_json())) == {
            "corpus": str(world.root),
            "counts": {"added": 1, "replaced": 0, "moved": 0, "removed": 0, "unchanged": 0, "unlisted": 0, "failed": 0},
            "examples": {"added": ["a.png"]},
            "to_read": 1,
            "refused": None,
            "passed_over": {"with other endings": 1},
            "not_listed": [],
            "metadata_problems": [],
        }
        assert found.lines() == [
            "added              1   a.png",
            "passed over: 1 with other endings (.txt 1)",
            "1 file would be read; nothing was changed",
        ]

    def test_a_folder_without_images_is_named(self, world):
        assert world.preview().lines()[0] == f"no images in {world.root}"


class Remembering(World):
    """Counts how often a model is loaded."""

    model_loads = 0

    def model(self):
        self.model_loads += 1
        return super().model()


@pytest.fixture
def remembering(tmp_path, database):
    (tmp_path / "corpus").mkdir()
    return Remembering(tmp_path / "corpus", database)


def broken_corpus(world):
    world.draw("sound.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    (world.root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    return world.sync()


class NoReads(FolderCorpus):
    def read(self, key, max_bytes):
        raise AssertionError(f"{key} was read again")


def test_a_file_that_failed_is_neither_read_again_nor_is_a_model_loaded_for_it(remembering):
    broken_corpus(remembering)
    first = remembering.failures()
    remembering.corpus_class = NoReads
    report = remembering.sync()
    assert remembering.failures() == first
    assert report.outcomes == {SyncOutcome.UNCHANGED: 1, SyncOutcome.FAILED: 2}
    assert report.done == report.total == 3
    assert remembering.model_loads == 1
    remembering.sync()
    assert remembering.model_loads == 1, "what is known has to stay known"


def test_a_file_that_failed_is_read_again_once_it_changes(remembering):
    broken_corpus(remembering)
    remembering.draw("broken.jpg")
    assert remembering.outcomes() == {"added": 1, "unchanged": 1, "failed": 1}
    assert set(remembering.stored()) == {"sound.png", "broken.jpg"}
    os.utime(remembering.root / "broken.jpg", ns=(1, 1))
    assert remembering.outcomes() == {"unchanged": 2, "failed": 1}


def test_a_file_that_failed_is_read_again_under_other_limits(remembering):
    broken_corpus(remembering)
    remembering.made_with = "other limits"
    remembering.sync()
    assert remembering.model_loads == 2


def test_a_file_that_the_model_made_nothing_of_is_tried_again(remembering):
    """Another sync's model may be sound: the file is not to blame."""
    remembering.draw("white.png", (255, 255, 255))
    remembering.encoder = Dazzled()
    report = remembering.sync()
    assert (report.outcomes, report.model_failed) == ({SyncOutcome.FAILED: 1}, True)
    value = remembering.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    remembering.encoder = CountingEncoder()
    assert remembering.outcomes() == {"added": 1}
    assert value("ml_api_sync_last_success_timestamp_seconds") > 0


def test_a_model_that_makes_vectors_of_other_files_has_not_failed(remembering):
    remembering.draw("white.png", (255, 255, 255))
    remembering.draw("red.png")
    remembering.encoder = Dazzled()
    assert not remembering.sync().model_failed


def test_a_file_that_only_could_not_be_read_is_tried_again(remembering):
    remembering.draw("a.png")
    remembering.corpus_class = UnreadableCorpus
    assert remembering.outcomes() == {"failed": 1}
    remembering.corpus_class = FolderCorpus
    assert remembering.outcomes() == {"added": 1}


def test_what_is_stored_of_a_file_that_is_known_to_fail_goes(remembering):
    """The store may be older than what is remembered: a backup that was put back."""
    remembering.draw("a.png")
    remembering.draw("b.png", (1, 2, 3))
    before = remembering.store
    remembering.sync()
    records = before.get([image_id("a.png")])
    vectors = before.vectors([image_id("a.png")])
    (remembering.root / "a.png").write_bytes(b"broken now")
    assert remembering.outcomes() == {"failed": 1, "unchanged": 1}
    before.upsert(list(records.values()), np.stack(list(vectors.values())))
    assert remembering.outcomes() == {"failed": 1, "unchanged": 1}
    assert set(remembering.stored()) == {"b.png"}


def remembered(world):
    with world.database.read() as session:
        return set(session.scalars(select(FailureRow.key).where(FailureRow.corpus == str(world.root))))


def test_failures_that_are_no_more_are_forgotten(remembering):
    broken_corpus(remembering)
    assert remembered(remembering) == {"broken.jpg"}
    (remembering.root / "broken.jpg").unlink()
    remembering.sync()
    assert remembered(remembering) == set()


def test_failures_are_remembered_of_each_corpus_apart(remembering, tmp_path):
    broken_corpus(remembering)
    (tmp_path / "other").mkdir()
    other = Remembering(tmp_path / "other", remembering.database)
    other.sync()
    assert remembered(remembering) == {"broken.jpg"}


def test_files_that_failed_are_read_again_if_that_is_asked_for(remembering):
    broken_corpus(remembering)
    assert remembering.sync(retry=True).outcomes == {SyncOutcome.UNCHANGED: 1, SyncOutcome.FAILED: 2}
    assert remembering.model_loads == 2
    remembering.sync()
    assert remembering.model_loads == 2, "what failed again has to stay known"


class TestGuard:
    @pytest.fixture
    def filled(self, world):
        for number in range(60):
            world.draw(f"{number // 30}/{number:02}.png", (number, 1, 2))
        world.sync()
        return world

    def lose(self, world, number):
        for path in sorted(world.root.rglob("*.png"))[:number]:
            path.unlink()

    def test_removing_more_than_a_fifth_stops_with_the_plan_and_the_way_on(self, filled):
        self.lose(filled, 30)
        filled.draw("new.png", (1, 2, 3))
        with pytest.raises(SyncRefused) as raised:
            filled.sync()
        assert "30 of the 60 images indexed are no longer in" in raised.value.detail
        assert "(0/ 30)" in raised.value.detail
        assert "add 1, remove 30, keep 30" in raised.value.detail
        assert "--allow-removals" in raised.value.detail
        assert len(filled.stored()) == 60
        assert filled.outcomes(removals=True) == {"added": 1, "removed": 30, "unchanged": 30}

    @pytest.mark.parametrize(("indexed", "lost", "stops"), [(60, 20, False), (60, 21, True), (150, 30, False), (150, 31, True)])
    def test_a_few_and_a_fifth_may_go(self, world, indexed, lost, stops):
        for number in range(indexed):
            world.draw(f"{number:03}.png", (number, 1, 2))
        world.sync()
        self.lose(world, lost)
        if stops:
            with pytest.raises(SyncRefused):
                world.sync()
        else:
            assert world.outcomes()["removed"] == lost

    def test_a_folder_that_is_only_renamed_goes_on(self, filled):
        (filled.root / "0").rename(filled.root / "2024")
        assert filled.outcomes() == {"moved": 30, "unchanged": 30}

    def test_another_folder_stops_with_the_plan_and_the_way_on(self, filled, tmp_path):
        before, filled.root = filled.root, tmp_path / "other"
        filled.draw("0/00.png", (9, 9, 9))
        filled.draw("1.png", (9, 9, 9))
        with pytest.raises(SyncRefused) as raised:
            filled.sync(removals=True, empty=True)
        assert f"the images of {before}, not of {filled.root}" in raised.value.detail
        assert "add 1, read again 1, remove 59" in raised.value.detail
        assert "--replace" in raised.value.detail
        assert len(filled.stored()) == 60
        assert filled.outcomes(replace=True) == {"added": 1, "replaced": 1, "removed": 59}
        assert filled.outcomes() == {"unchanged": 2}, "this is the folder from now on"

    def test_a_folder_that_was_moved_as_it_is_goes_on(self, filled, tmp_path):
        filled.root = filled.root.rename(tmp_path / "moved")
        assert filled.outcomes() == {"unchanged": 60}
        assert filled.store.source() == str(filled.root)

    def test_an_empty_folder_asks_for_a_word_of_its_own(self, filled):
        shutil.rmtree(filled.root)
        filled.root.mkdir()
        (filled.root / "notes.txt").write_text("")
        for consent in ({}, {"removals": True}, {"replace": True}):
            with pytest.raises(SyncRefused, match=r"holds no images \(1 with other endings \(.txt 1\)\), but 60.*--allow-empty"):
                filled.sync(**consent)
        assert filled.outcomes(empty=True) == {"removed": 60}

    def test_an_empty_folder_that_is_another_one_asks_for_both(self, filled, tmp_path):
        filled.root = tmp_path / "other"
        filled.root.mkdir()
        with pytest.raises(SyncRefused, match="--replace"):
            filled.sync(empty=True)
        assert filled.outcomes(empty=True, replace=True) == {"removed": 60}

    def test_a_first_sync_that_died_has_left_where_it_came_from(self, world, tmp_path):
        for number in range(3 * BATCH):
            world.draw(f"{number:03}.png", (number, 0, 0))
        world.use(DyingStore())
        with pytest.raises(StoreUnavailable):
            world.sync()
        world.root = tmp_path / "other"
        world.draw("a.png")
        with pytest.raises(SyncRefused, match="--replace"):
            world.sync()


def test_a_sync_that_is_told_to_stop_ends_with_what_is_written_and_goes_on_later(world):
    for number in range(5 * BATCH):
        world.draw(f"{number:03}.png", (number, 0, 0))
    (world.root / "gone.png").write_bytes((world.root / "000.png").read_bytes())
    indexer = world.indexer()
    reached = []
    report = indexer.run(
        indexer.plan(), lambda report: reached.append(report.done), lambda: bool(reached) and reached[-1] >= 2 * BATCH
    )
    assert report.stopped
    assert 2 * BATCH <= report.done < report.total == 5 * BATCH + 1
    assert len(world.stored()) == report.done
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    assert value("ml_api_sync_backlog") == report.total - report.done
    again = world.sync()
    assert again.done == again.total == 5 * BATCH + 1
    assert not again.stopped
    assert len(world.stored()) == 5 * BATCH + 1


def test_a_sync_that_is_told_to_stop_removes_nothing(world):
    for number in range(10):
        world.draw(f"{number}.png", (number, 0, 0))
    world.sync()
    (world.root / "0.png").unlink()
    indexer = world.indexer()
    assert indexer.run(indexer.plan(), stop=lambda: True).stopped
    assert len(world.stored()) == 10


def test_progress_begins_once_the_model_is_loaded_with_what_is_done_already(world):
    world.draw("old.png")
    world.sync()
    world.draw("new.png", (1, 2, 3))
    events = []

    def load():
        events.append("loaded")
        return world.model()

    indexer = world.indexer(load)
    indexer.run(indexer.plan(), lambda report: events.append(report.done))
    assert events[:3] == ["loaded", 1, 2]


def test_batches_are_full_but_for_the_last(world):
    for number in range(2 * BATCH + 5):
        world.draw(f"{number:03}.png", (number, 2 * number, 5))
    assert world.outcomes() == {"added": 2 * BATCH + 5}
    assert world.encoder.batches == [BATCH, BATCH, 5]


def test_every_file_is_accounted_for_and_counted(world):
    for number in range(40):
        world.draw(f"{number:02}.png", (number, 0, 0))
    (world.root / "broken.png").write_bytes(b"")
    report = world.sync()
    assert report.done == report.total == 41
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == 40
    assert value("ml_api_sync_items_total", {"outcome": "failed"}) == 1
    assert sum(value("ml_api_sync_failures_total", {"reason": reason}) for reason in ReasonCode) == 1


def test_progress_only_grows_and_ends_at_the_total(world):
    for number in range(70):
        world.draw(f"{number:02}.png", (number, 0, 0))
    seen = []
    indexer = world.indexer()
    report = indexer.run(indexer.plan(), lambda report: seen.append(report.done))
    assert seen == sorted(seen)
    assert seen[-1] == report.total == 70


class DyingStore(MemoryStore):
    """Stops answering after some upserts, as a store does that loses power."""

    upserts_left = 1

    def upsert(self, records, vectors):
        if self.upserts_left == 0:
            raise StoreUnavailable("the store is gone")
        self.upserts_left -= 1
        super().upsert(records, vectors)


def test_a_sync_that_died_is_completed_by_running_it_again(world):
    for number in range(3 * BATCH):
        world.draw(f"{number:03}.png", (number, 0, 0))
    world.use(DyingStore())
    with pytest.raises(StoreUnavailable):
        world.sync()
    assert len(world.stored()) == BATCH
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_backlog") == 2 * BATCH
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == BATCH
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    world.store.upserts_left = 100
    assert world.outcomes() == {"added": 2 * BATCH, "unchanged": BATCH}
    assert len(world.stored()) == 3 * BATCH
    assert value("ml_api_sync_backlog") == 0
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == 3 * BATCH
    assert value("ml_api_sync_last_success_timestamp_seconds") > 0


def test_the_threads_of_a_sync_work_for_its_trace(world):
    class ListeningStore(MemoryStore):
        origins = ()

        def upsert(self, records, vectors):
            self.origins += tracing.origins()
            super().upsert(records, vectors)

    world.draw("a.png")
    world.use(ListeningStore())
    with tracing.on_behalf_of([origin := tracing.run_origin()]):
        world.sync()
    assert world.store.origins == (origin,)
    for stage in ("plan", "read", "embed", "write", "remove"):
        assert world.metrics.sync.registry.get_sample_value("ml_api_sync_stage_duration_seconds", {"stage": stage}) > 0
