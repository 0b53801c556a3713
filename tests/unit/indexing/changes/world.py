"""A folder, an index, and the keys that wait to be looked at."""

import os
import time

from PIL import Image
from sqlalchemy import select, update

from ml_api.corpus.folder import FolderCorpus
from ml_api.database.tables import ChangeRow, JobRow
from ml_api.deadline import Deadline
from ml_api.embedding.fake import FakePreprocessor
from ml_api.errors import CorpusUnavailable, StoreUnavailable
from ml_api.indexing.changes import Changes, Consumer, Source
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.jobs import Operation, SyncOptions
from ml_api.indexing.jobs.options import row_of
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import JobKind
from tests.databases import new_database
from tests.unit.indexing.stand_ins import DECODER, RecordingEncoder


class FlakyStore(MemoryStore):
    """`after_vectors` is called when somebody has read vectors, which are taken over."""

    down = False
    after_vectors = staticmethod(lambda: None)

    def vectors(self, ids, deadline=None):
        found = super().vectors(ids, deadline)
        self.after_vectors()
        return found

    def get(self, ids, deadline=None):
        if self.down:
            raise StoreUnavailable("the store is down")
        return super().get(ids, deadline)


class FlakyCorpus(FolderCorpus):
    def __init__(self, root):
        super().__init__(root)
        self.denied = set()

    def version(self, key):
        if key in self.denied:
            raise CorpusUnavailable("cannot be read: Permission denied")
        return super().version(key)


class World:
    """A folder, an index, and the keys that wait."""

    def __init__(self, tmp_path):
        self.root = tmp_path / "corpus"
        self.root.mkdir()
        self.database = new_database(tmp_path / "state.sqlite3")
        self.corpus = FlakyCorpus(self.root)
        self.encoder = RecordingEncoder()
        self.decoder = DECODER
        self.store = FlakyStore()
        self.store.ensure(self.encoder.model.model_id, self.encoder.model.dim)
        self.metrics = Metrics()
        self.consumers = []
        self.changes = Changes(self.database, self.corpus.location)
        self.consumer = self.new_consumer()

    def new_consumer(self):
        parts = {"preprocessor": FakePreprocessor(), "encoder": self.encoder, "decoder": DECODER, "metrics": self.metrics}
        parts["failures"] = StoredFailures(self.database, self.corpus.location, "these limits")
        consumer = Consumer(self.changes, self.corpus, self.store, **parts)
        self.consumers.append(consumer)
        return consumer

    def draw(self, key, colour=(200, 30, 30), size=(40, 30), kind=None):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path, kind)
        return path

    def take_away(self, key):
        """What puts the file back, as it was."""
        path = self.root / key
        status, data = path.stat(), path.read_bytes()
        path.unlink()

        def put_back():
            path.write_bytes(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        return put_back

    def note(self, *keys, source=Source.WATCH, facts=None, gone=()):
        return self.changes.note(keys, source, facts, gone=gone)

    def be_due(self):
        """As if the time until the next attempt were over."""
        with self.database.write() as session:
            session.execute(update(ChangeRow).values(not_before=0.0, claimed_until=0.0))

    def be_later(self, seconds):
        """As if the jobs had begun so much earlier."""
        with self.database.write() as session:
            session.execute(update(JobRow).values(started_at=JobRow.started_at - seconds))

    def indexer(self, store=None, **parts):
        parts["failures"] = StoredFailures(self.database, self.corpus.location, "these limits")
        model = FakePreprocessor(), self.encoder
        return Indexer(self.corpus, store or self.store, lambda: model, self.decoder, self.metrics, **parts)

    def sync(self, store=None, consent=Consent(), **parts):  # noqa: B008 - frozen
        indexer = self.indexer(store, **parts)
        return indexer.run(indexer.plan(consent))

    def rows(self):
        with self.database.read() as session:
            return {row.key: row for row in session.scalars(select(ChangeRow))}

    def stored(self):
        return {entry.key: entry for entry in self.store.entries()}

    def records(self):
        found = self.store.get([entry.id for entry in self.store.entries()])
        return {record.key: record for record in found.values()}

    def record(self, key):
        return self.store.get([image_id(key)])[image_id(key)]

    def outcomes(self):
        [counter] = self.metrics.changes.looked_at.collect()
        return {
            sample.labels["outcome"]: int(sample.value)
            for sample in counter.samples
            if sample.name.endswith("_total") and sample.value
        }


def start_job(world, options=None, state="running"):
    row = JobRow(target="t", corpus=world.corpus.location, state=state, options=options or {}, requested_at=0.0)
    row.started_at = time.time()
    with world.database.write() as session:
        session.add(row)


def end_job(world):
    with world.database.write() as session:
        session.scalars(select(JobRow)).one().state = "succeeded"


def edited(world, *keys):
    """Equal images that are indexed, each with a tag that was set over the API: its own name."""
    for number, key in enumerate(keys):
        os.utime(world.draw(key), ns=(number, number))
    world.sync()
    for key in keys:
        patch_metadata(world.store, image_id(key), {"tag": key}, Deadline.within(1))


def tags(world):
    return {key: record.metadata.get("tag") for key, record in world.records().items()}


OPERATIONS = [JobKind.EXPORT, JobKind.EVALUATE, JobKind.DROP_OLD, JobKind.IMPORT, JobKind.MIGRATE, JobKind.ROLL_BACK]


OTHERS = {kind.value: row_of(SyncOptions(operation=Operation(kind))) for kind in OPERATIONS}


READING = {kind: options for kind, options in OTHERS.items() if kind in {JobKind.EXPORT, JobKind.EVALUATE, JobKind.DROP_OLD}}


READING["dry-run"] = {"dry_run": True}
