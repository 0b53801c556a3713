"""The parts of a service are put together so that its searches are judged, and that this ends with the model it is for."""

import threading

import numpy as np

from ml_api.deadline import Deadline
from ml_api.search import ImageTerm, Query, TextTerm
from ml_api.services.calibration import stored_calibrations_of
from ml_api.vectors.base import SearchOptions
from tests.captioned import filled


def search(engine, term):
    return engine.searcher.search(Query.of(term, SearchOptions(5)), Deadline.within(30))


def test_a_service_judges_its_searches_once_it_has_calibrated_itself(make_engine, shared):
    engine = make_engine(shared, store=filled())
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
    before, after, again = (make_engine(shared, name, filled()) for name in ("fake", "another", "fake"))
    before.calibration.look()
    before.calibration.look()
    for engine, judges in ((after, False), (again, True)):
        engine.calibration.look()
        assert engine.searcher.search(Query.of(TextTerm("red"), SearchOptions(1)), Deadline.within(30)).confident is (
            judges or None
        )
    assert stored_calibrations_of(shared.settings, shared.database, "fake@1", before.embedder.model).calibration() is not None


def calibrating_threads():
    return [thread for thread in threading.enumerate() if thread.name == "calibration"]


def test_its_thread_ends_with_the_engine(make_engine, shared):
    engine = make_engine(shared, store=filled())
    engine.start(shared.changes)
    assert len(calibrating_threads()) == 1
    engine.close()
    assert calibrating_threads() == []
