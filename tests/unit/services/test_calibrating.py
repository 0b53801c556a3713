"""The parts of a service are put together so that its searches are judged, and that this ends with the model it is for."""

import threading
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.metrics import Metrics
from ml_api.search import ImageTerm, Query, TextTerm
from ml_api.services.calibration import kept_of
from ml_api.services.engine import Shared, WarmModel, assemble
from ml_api.settings import load_settings
from ml_api.vectors.base import SearchOptions
from tests.captioned import filled
from tests.databases import new_database


@pytest.fixture
def shared(tmp_path):
    settings = load_settings({"ML_API_CORPUS": str(tmp_path), "ML_API_DATA_DIR": str(tmp_path / "data")})
    metrics, corpus, decoder = Metrics(), FolderCorpus(tmp_path), InlineDecoder(ImageLimits(10**6, 10**6, 20))
    with closing(decoder), closing(new_database(tmp_path / "state.sqlite3")) as database:
        yield Shared(settings, metrics, corpus, decoder, database, Changes(database, corpus.location))


@pytest.fixture
def make_engine(shared):
    """With its own model and store, as the service puts it together."""
    engines = []

    def make(name="fake"):
        encoder, store = FakeEncoder(name=name), filled()
        pretrained = SimpleNamespace(model_id=encoder.model.model_id)
        embedder = BatchingEncoder(encoder, shared.metrics)
        engines.append(assemble(shared, WarmModel(pretrained, FakePreprocessor(), embedder, load_s=0.0), store, store))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def search(engine, term):
    return engine.searcher.search(Query.of(term, SearchOptions(5)), Deadline.within(30))


def test_a_service_judges_its_searches_once_it_has_calibrated_itself(make_engine):
    engine = make_engine()
    assert search(engine, TextTerm("red bargo")).confident is None
    engine.calibration.look()
    engine.calibration.look()
    judged = search(engine, TextTerm("red bargo"))
    assert judged.confident is True
    assert len([row for row in judged.rows if row.relevance is not None]) == 5
    assert search(engine, TextTerm("zebra")).confident is False
    by_image = search(engine, ImageTerm(np.zeros((16, 16, 3), dtype=np.uint8)))
    assert by_image.confident is False
    assert len([row for row in by_image.rows if row.relevance is not None]) == 5


def test_a_model_that_takes_over_is_not_judged_by_what_was_fitted_for_the_one_before(make_engine, shared):
    before, after, again = make_engine(), make_engine("another"), make_engine()
    before.calibration.look()
    before.calibration.look()
    for engine, judges in ((after, False), (again, True)):
        engine.calibration.look()
        assert engine.searcher.search(Query.of(TextTerm("red"), SearchOptions(1)), Deadline.within(30)).confident is (
            judges or None
        )
    assert kept_of(shared.settings, shared.database, "fake@1", before.embedder.model).calibration() is not None


def calibrating_threads():
    return [thread for thread in threading.enumerate() if thread.name == "calibration"]


def test_its_thread_ends_with_the_engine(make_engine, shared):
    engine = make_engine()
    engine.start(shared.changes)
    assert len(calibrating_threads()) == 1
    engine.close()
    assert calibrating_threads() == []
