"""Vectors into files and out of them; an extraction is a sync into a file.

Stopped and gone on with, each leaves what one at once would have left.
"""

import numpy as np
import pytest
from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import InvalidInput, Overloaded
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.embedding import PAUSES_S, FileEmbedder
from ml_api.indexing.jobs.execution import Follower
from ml_api.indexing.reading import Fresh
from ml_api.indexing.report import Reports
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.transfers import Extraction, examine, export_images, import_images
from ml_api.settings import load_settings
from ml_api.vectors.files.columns import record_of
from ml_api.vectors.files.opening import open_vectors
from ml_api.vectors.files.parts import PartsWriter
from ml_api.vectors.files.transfer import FileStore
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, record, unit_vectors

DECODER = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))


def draw(root, *names, colour=(200, 30, 30)):
    for name in names:
        Image.new("RGB", (40, 30), colour).save(root / name)


def indexer(root, store, encoder):
    store.ensure(encoder.model.model_id, encoder.model.dim)
    return Indexer(FolderCorpus(root), store, lambda: (FakePreprocessor(), encoder), DECODER, Metrics())


def extract(root, target, *, stop_after=None):
    encoder = FakeEncoder()
    with PartsWriter.open(target, encoder.model.model_id, str(root)) as writer:
        store = FileStore(writer)
        extraction = Extraction(indexer(root, store, encoder), store)
        done = []
        with_stop = (lambda: len(done) > stop_after) if stop_after is not None else lambda: False
        return extraction.run(extraction.plan(), done.append, with_stop, Reports())


def content(target):
    """Without when it was indexed."""
    rows = [(record_of(row.fields), row.vector) for row in open_vectors(target).read()]
    return {record.key: (record.version, record.digest, vector.tobytes()) for record, vector in rows}


def synced(root):
    store, encoder = MemoryStore(), FakeEncoder()
    index = indexer(root, store, encoder)
    index.run(index.plan())
    [(records, vectors)] = store.scan()
    return {one.key: (one.version, one.digest, vector.tobytes()) for one, vector in zip(records, vectors, strict=True)}


@pytest.mark.parametrize("name", ["v.parquet", "v"])
def test_an_extraction_that_was_stopped_follows_what_changed_meanwhile(tmp_path, name):
    root, target = tmp_path / "corpus", tmp_path / name
    root.mkdir()
    draw(root, *(f"{number:03}.png" for number in range(150)))
    report = extract(root, target, stop_after=2)
    assert report.stopped
    assert 0 < report.done < 150
    assert not target.exists()
    draw(root, "000.png", "new.png", colour=(20, 20, 200))
    (root / "001.png").unlink()
    (root / "002.png").write_bytes(b"no image any more")
    (root / "003.png").rename(root / "moved.png")
    report = extract(root, target)
    assert report.outcomes["unchanged"] > 0
    assert content(target) == synced(root)
    assert content(target).keys() == {path.name for path in root.iterdir()} - {"002.png"}


def test_an_extraction_is_what_a_sync_would_index(tmp_path):
    root, target = tmp_path / "corpus", tmp_path / "v.jsonl"
    root.mkdir()
    draw(root, "a.png", "b.png", "copy of a.png")
    extract(root, target)
    assert content(target) == synced(root)


class Busy(FakeEncoder):
    """A server that others use as well, which has no room a number of times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def embed(self, items):
        if self.times:
            self.times -= 1
            raise Overloaded("the queue is full")
        return super().embed(items)


@pytest.mark.parametrize(("times", "is_done"), [(len(PAUSES_S), True), (len(PAUSES_S) + 1, False)])
def test_an_overloaded_model_is_asked_again_though_not_for_ever(times, is_done):
    paused = []
    file = Fresh(None, None, FakePreprocessor().prepare_image(np.zeros((16, 16, 3), dtype=np.uint8)))
    with FileEmbedder(Busy(times), Metrics().sync, pause=paused.append) as model:
        model.submit([file])
        if is_done:
            [part] = model.finish()
            assert len(part.vectors) == 1
        else:
            with pytest.raises(Overloaded):
                model.finish()
    assert tuple(paused) == PAUSES_S


def stored(count):
    store = MemoryStore()
    store.ensure(MODEL, DIM)
    store.upsert([record(f"{number}.png") for number in range(count)], unit_vectors(count))
    return store


def exported(store, target, *, stop=False):
    """Whether all was exported, what was said of it, and how far it came in the end."""
    lines, told = [], []
    follower = Follower(lambda *reached: told.append(reached), lambda: stop)
    settings = load_settings({"ML_API_DATA_DIR": str(target.parent)})
    return export_images(store, MODEL, settings, target, follower, lines.append), lines, told[-1:]


def imported(store, path, leave_out):
    return import_images(store, examine(path, "", MODEL, DIM), leave_out, Follower(lambda _done, _total: None, lambda: False))


def test_what_is_exported_can_be_imported_and_both_say_what_they_did(tmp_path):
    here, there, target = stored(5), stored(0), tmp_path / "v.jsonl"
    assert exported(here, target) == (True, [f"5 images, to {target}"], [(5, 5)])
    assert imported(there, target, None) == "5 imported"
    assert list(there.entries()) == list(here.entries())


def test_an_export_that_was_stopped_goes_on_where_it_ended(tmp_path):
    target = tmp_path / "v.jsonl"
    assert exported(stored(5), target, stop=True)[:2] == (False, [])
    assert exported(stored(5), target)[:2] == (
        True,
        ["going on behind the 5 rows that were exported before", f"5 images, to {target}"],
    )


def test_a_file_of_which_no_row_can_be_imported_is_an_error_with_the_first_reason(tmp_path):
    exported(stored(2), tmp_path / "v.jsonl")
    other, left_out = tmp_path / "other.jsonl", []
    other.write_text((tmp_path / "v.jsonl").read_text().replace('"key": "', '"name": "'))
    with pytest.raises(InvalidInput, match=r"none of the 2 rows of .*other\.jsonl could be imported: line 1: "):
        imported(stored(0), other, lambda place, reason: left_out.append(f"{place}: {reason}"))
    assert len(left_out) == 2
