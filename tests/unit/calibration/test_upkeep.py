"""A service keeps its scores calibrated by itself, and whatever becomes of that, searches go on."""

import logging
import threading
import time
import weakref
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ml_api.calibration import CalibrationUpkeep, IndexedCorpus, StoredCalibrations, calibrate, want
from ml_api.calibration.phrases import Matching, Wanted
from ml_api.calibration.upkeep import CHANGED, FEWEST_IMAGES, NEW_VERDICTS, SAMPLE_EVERY
from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import ModelUnavailable, NonFiniteVector, StoreUnavailable
from ml_api.feedback import Judgement
from ml_api.metrics import Metrics
from ml_api.search import Calibrations, Query, Searcher, TextTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import Verdict
from tests.captioned import add_images, described, filled
from tests.waiting import wait_until
from tests.wordless import wordless


@dataclass
class Service:
    """A service's upkeep, with its parts in reach."""

    kept: StoredCalibrations
    store: MemoryStore
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    calibrations: Calibrations = field(default_factory=lambda: Calibrations("COSINE"))

    def __post_init__(self):
        self.upkeep = CalibrationUpkeep(
            self.kept, self.calibrations, IndexedCorpus(self.store, "COSINE", FakePreprocessor(), self.encoder)
        )

    def look(self, times=1):
        """Whether searches are judged now."""
        for _ in range(times):
            self.upkeep.look()
        return self.calibrations.has("text")

    @property
    def images(self):
        row = self.kept.row()
        return row and row.images


@pytest.fixture
def kept(database):
    return StoredCalibrations(database, "collection", "model")


@pytest.fixture
def service(kept, store):
    return Service(kept, store)


def test_few_images_are_not_calibrated_and_enough_are(kept):
    service = Service(kept, filled(FEWEST_IMAGES - 1))
    assert not service.look(3)
    assert (service.images, kept.row().measures) == (FEWEST_IMAGES - 1, {})
    add_images(service.store, [FEWEST_IMAGES])
    assert service.look(2)
    assert service.images == FEWEST_IMAGES


def test_while_images_come_and_go_nothing_is_calibrated(service):
    service.look()
    for number in range(240, 244):
        add_images(service.store, [number])
        assert not service.look()
    assert service.look()


def test_it_is_made_anew_once_more_than_a_fifth_of_the_images_came_or_went(service):
    service.look(2)
    fifth = int(CHANGED * 240)
    service.store.delete([described(number).id for number in range(fifth)])
    service.look(2)
    assert service.images == 240
    service.store.delete([described(fifth).id])
    service.look(2)
    assert service.images == 240 - fifth - 1
    add_images(service.store, range(300, 339))
    service.look(2)
    assert service.images == 240 - fifth - 1 + 39


def exchanged(store, numbers):
    """Other files under the same keys."""
    records = [replace(described(number), digest=f"{number + 1:064x}"[::-1]) for number in numbers]
    store.upsert(records, np.stack(list(store.vectors([record.id for record in records]).values())))


@pytest.mark.parametrize(("share", "anew"), [(0.1, False), (0.4, True)])
def test_it_is_made_anew_once_many_images_were_exchanged_for_as_many(service, share, anew):
    service.look(2)
    made_at = service.kept.row().made_at
    exchanged(service.store, range(int(share * 240)))
    service.look(SAMPLE_EVERY)
    assert (service.kept.row().made_at != made_at) == anew
    made_at = service.kept.row().made_at
    service.look(2 * SAMPLE_EVERY)
    assert service.kept.row().made_at == made_at, "once"


def test_other_keys_with_as_many_images_are_another_corpus(service):
    service.look(2)
    made_at = service.kept.row().made_at
    service.store.delete([described(number).id for number in range(120)])
    add_images(service.store, range(240, 360))
    service.look(SAMPLE_EVERY)
    assert service.kept.row().made_at != made_at


@dataclass
class Said:
    """Verdicts on ten hits of each search."""

    given: list[Judgement] = field(default_factory=list)

    def give(self, number, ago_s=-60):
        for one in range(number):
            asked = {"query": [{"text": f"red {one // 10}"}]}
            self.given.append(Judgement("q", described(one).id, Verdict.RELEVANT, "", time.time() - ago_s, "m", asked, 1))

    def latest(self, most):
        return self.given[::-1][:most]

    def number_since(self, when, most):
        return min(sum(one.judged_at > when for one in self.given), most)


@pytest.mark.parametrize(("number", "anew"), [(NEW_VERDICTS - 1, False), (NEW_VERDICTS, True)])
def test_it_is_made_anew_once_many_verdicts_came(service, number, anew):
    service.upkeep.verdicts = said = Said()
    service.look(2)
    assert service.kept.row().measures["judged_texts"] == 0
    made_at = service.kept.row().made_at
    said.give(number)
    service.look(SAMPLE_EVERY)
    assert (service.kept.row().made_at != made_at) == anew
    assert service.kept.row().measures["verdicts"] == (number if anew else 0)
    assert service.kept.row().measures["judged_texts"] == (NEW_VERDICTS // 10 if anew else 0)


class Meanwhile(Said):
    """More verdicts come while the first ones are read."""

    def latest(self, most):
        found = super().latest(most)
        if not self.given:
            self.give(NEW_VERDICTS, ago_s=0)
        return found


def test_verdicts_that_come_while_it_is_made_are_new_to_it(service):
    service.upkeep.verdicts = Meanwhile()
    service.look(2)
    assert service.kept.row().measures["verdicts"] == 0
    service.look(SAMPLE_EVERY)
    assert service.kept.row().measures["verdicts"] == NEW_VERDICTS


def test_what_a_command_has_kept_is_used_at_the_first_look(service, store, model):
    service.kept.keep(calibrate(IndexedCorpus(store, "COSINE", *model)), 240)
    assert service.look()


@pytest.mark.parametrize(
    "other",
    [("collection", "another model"), ("another collection", "model"), ("collection", "model", "image")],
    ids=["model", "collection", "kind of query"],
)
def test_the_calibration_of_something_else_is_not_used(service, store, model, database, other):
    StoredCalibrations(database, *other).keep(calibrate(IndexedCorpus(store, "COSINE", *model)), 240)
    assert not service.look()
    assert service.kept.calibration() is None
    assert service.look(), "it makes its own"
    assert StoredCalibrations(database, *other).calibration() is not None, "and leaves the other"


def test_a_corpus_that_says_nothing_any_more_is_not_judged_by_what_it_said(service):
    assert service.look(2)
    service.store.delete([described(number).id for number in range(240)])
    add_images(service.store, range(240, 480, 2), captions=False)
    assert not service.look(2)
    assert service.kept.calibration() is None


def test_too_few_that_are_left_are_not_judged_either_and_who_wanted_it_is_answered(service, database):
    assert service.look(2)
    service.store.delete([described(number).id for number in range(200)])
    want(database, "collection")
    assert not service.look(2)
    assert (service.images, service.kept.row().measures) == (40, {})


class Away:
    """Raises what is in `error`, once each."""

    def __init__(self, *args):
        super().__init__(*args)
        self.errors, self.calls = [], 0

    def _maybe_raise(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop()


class AwayStore(Away, MemoryStore):
    def search(self, *args, **kwargs):
        self._maybe_raise()
        return super().search(*args, **kwargs)


class AwayEncoder(Away, FakeEncoder):
    def embed(self, items):
        self._maybe_raise()
        return super().embed(items)


@pytest.mark.parametrize("part", ["store", "encoder"])
def test_a_store_or_a_model_that_was_away_is_asked_again_at_the_next_look(kept, part):
    service = Service(kept, filled(kind=AwayStore), AwayEncoder())
    getattr(service, part).errors = [StoreUnavailable("gone") if part == "store" else ModelUnavailable("gone")]
    assert not service.look(2)
    assert service.look()


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), NonFiniteVector()], ids=["bug", "texts the model fails for"])
def test_what_would_fail_again_is_not_tried_every_ten_seconds(kept, store, error):
    service = Service(kept, store, AwayEncoder())
    service.encoder.errors = [error]
    service.look()
    if isinstance(error, ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):  # the thread logs it
            service.look()
    assert not service.look(2)
    assert service.encoder.calls == 1
    add_images(store, [240])
    assert service.look(2)


class Gate(FakeEncoder):
    """Embeds when it may."""

    def __init__(self):
        super().__init__()
        self.reached, self.may_go_on = threading.Event(), threading.Event()

    def embed(self, items):
        self.reached.set()
        assert self.may_go_on.wait(30)
        return super().embed(items)


@pytest.fixture
def calibrating(kept, store):
    """A service in the midst of it, in a thread of its own."""
    service = Service(kept, store, Gate())
    service.look()
    service.thread = threading.Thread(target=service.look)
    service.thread.start()
    assert service.encoder.reached.wait(30)
    yield service
    service.encoder.may_go_on.set()
    service.thread.join(30)


def test_searches_do_not_wait_for_it(calibrating):
    metrics = Metrics()
    embedder = BatchingEncoder(FakeEncoder(), metrics)
    hybrid = wordless(calibrating.store)
    searcher = Searcher(FakePreprocessor(), embedder, calibrating.store, metrics, hybrid, calibrating.calibrations)

    def confident():
        return searcher.search(Query.of(TextTerm("red bargo"), SearchOptions(5)), Deadline.within(30)).confident

    assert confident() is None
    calibrating.encoder.may_go_on.set()
    wait_until(lambda: calibrating.calibrations.has("text"))
    assert confident() is True
    calibrating.calibrations.use("text", None)
    assert confident() is None
    hybrid.close()
    embedder.close()


def test_one_that_a_stop_interrupts_ends_quietly(calibrating, caplog):
    caplog.set_level(logging.INFO)
    calibrating.store.close()
    calibrating.encoder.may_go_on.set()
    calibrating.thread.join(30)
    assert not calibrating.thread.is_alive()
    assert calibrating.kept.row() is None
    assert {record.levelno for record in caplog.records} <= {logging.INFO}


class PagedStore(MemoryStore):
    """Counts the pages of a scan that are still in memory."""

    def __init__(self):
        super().__init__()
        self.most = 0

    def scan(self, after=""):
        pages = []
        for records, vectors in super().scan(after):
            for start in range(0, len(records), 10):
                page = vectors[start : start + 10].copy()
                pages.append(weakref.ref(page))
                yield records[start : start + 10], page
                self.most = max(self.most, sum(page() is not None for page in pages[:-1]))


def test_no_page_of_a_scan_is_held_for_the_sake_of_one_vector(model):
    store = filled(kind=PagedStore)
    assert calibrate(IndexedCorpus(store, "COSINE", *model)) is not None
    assert store.most <= 1


def test_of_a_phrase_no_more_matches_are_collected_than_are_of_use():
    matching = Matching([Wanted(frozenset({"dog"}))], most=3)
    for number in range(10):
        matching.look_at(described(number, caption="a dog"))
    assert len(matching.matches[0]) == 4
