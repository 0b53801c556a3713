"""Searches of late and verdicts on their hits, in SQLite and in PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import select

from ml_api.database import Database
from ml_api.database.tables import JudgementRow, SearchRow
from ml_api.errors import InvalidInput, NotFound, Overloaded
from ml_api.feedback import Judgements, PastSearch, RecentSearches, Retention, Verdicts, searches
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vocabulary import Verdict

A, B, C = map(image_id, "abc")


def past(query_id, *hits, first_rank=1, ago_s=0, **query):
    query = query or {"query": [{"text": "red"}]}
    return PastSearch(query_id, "a model", query, hits or (A, B), first_rank, time.time() - ago_s)


class Room:
    def __init__(self, database, target="images", kept=1000, days=7):
        self.database, self.metrics = database, Metrics()
        self.searches = RecentSearches(database, target, Retention(kept, days), self.metrics.feedback)
        self.judgements = Judgements(self.searches, self.metrics.feedback)

    def note(self, *some):
        for search in some:
            self.searches.note(search)
        self.searches.upkeep()

    def verdicts(self):
        return [(one.query_id, one.image_id, one.verdict.value) for one in self.judgements.all()]

    def kept(self):
        with self.database.read() as session:
            return list(session.scalars(select(SearchRow.query_id).order_by(SearchRow.answered_at)))


@pytest.fixture
def room(database):
    return Room(database)


def test_a_hit_is_judged_as_soon_as_it_is_seen_and_by_another_replica_once_it_is_written(database, room):
    other = Room(database)
    room.searches.note(past("one", first_rank=11, query=[{"text": "a \0 'red' \U0001f697"}]))
    room.judgements.give("one", B, Verdict.RELEVANT, "the right one")
    other.judgements.give("one", A, Verdict.IRRELEVANT)
    first, second = sorted(other.judgements.all(), key=lambda one: one.rank)
    assert (first.image_id, first.verdict, first.grade, first.rank) == (A, Verdict.IRRELEVANT, 0, 11)
    assert (second.image_id, second.grade, second.rank, second.comment) == (B, 2, 12, "the right one")
    assert second.query == {"query": [{"text": "a \0 'red' \U0001f697"}]}
    assert second.model == "a model"


def test_the_last_verdict_counts_but_a_click_replaces_none(room):
    room.note(past("one"))
    for verdict in (Verdict.CLICKED, Verdict.RELEVANT, Verdict.IRRELEVANT, Verdict.IRRELEVANT, Verdict.CLICKED):
        room.judgements.give("one", A, verdict)
    assert room.verdicts() == [("one", A, "irrelevant")]
    room.judgements.give("one", A, Verdict.NONE)
    room.judgements.give("one", A, Verdict.NONE)
    assert room.verdicts() == []
    assert room.metrics.feedback.verdicts.labels("irrelevant")._value.get() == 2


def test_only_hits_of_known_searches_of_this_collection_are_judged(database, room):
    Room(database, "others").note(past("theirs"))
    room.note(past("one"))
    for unknown in ("two", "theirs", "one' OR '1'='1"):
        with pytest.raises(NotFound, match=r"query_id: no search .* is kept \(those of the last 7 days are, 1,000 at most\)"):
            room.judgements.give(unknown, A, Verdict.RELEVANT)
    with pytest.raises(InvalidInput, match=f"id: the image {C} is none of the 2 hits of the search 'one'"):
        room.judgements.give("one", C, Verdict.RELEVANT)
    assert room.verdicts() == Room(database, "others").verdicts() == []


def test_searches_that_are_old_or_too_many_go_and_judged_ones_stay(database):
    room = Room(database, days=100)
    ago = {"judged": 9 * 86_400, "old": 8 * 86_400, "first": 40, "second": 30, "third": 20, "fourth": 10}
    room.note(*(past(name, ago_s=seconds) for name, seconds in ago.items()))
    room.judgements.give("judged", A, Verdict.RELEVANT)
    Room(database, kept=1000, days=7).searches.upkeep()
    assert room.kept() == ["judged", "first", "second", "third", "fourth"]
    Room(database, kept=3, days=7).searches.upkeep()
    assert room.kept() == ["judged", "second", "third", "fourth"]
    room.judgements.give("judged", A, Verdict.NONE)
    Room(database, kept=3, days=7).searches.upkeep()
    assert room.kept() == ["second", "third", "fourth"]


def test_more_searches_than_one_transaction_takes_are_kept_and_removed(database):
    room = Room(database, kept=20)
    room.note(*(past(f"{number:04}") for number in range(searches.REMOVED_AT_ONCE + 100)))
    assert len(room.kept()) <= 20


def test_of_searches_with_one_id_the_last_counts_until_it_is_judged(room):
    room.note(past("one", A))
    room.note(past("one", B))
    room.judgements.give("one", B, Verdict.RELEVANT)
    room.note(past("one", C))
    room.judgements.give("one", B, Verdict.IRRELEVANT)
    with pytest.raises(InvalidInput):
        room.judgements.give("one", C, Verdict.RELEVANT)


def test_export_reads_any_number_in_their_order(database, room):
    room.note(*(past(f"{number:03}", A, B, C) for number in range(200)))
    with database.write() as session:
        session.add_all(
            JudgementRow(query_id=f"{number:03}", image=image, verdict="clicked", comment="", judged_at=1.0)
            for number in range(200)
            for image in (A, B, C)
        )
    found = room.verdicts()
    assert len(found) == 600
    assert found == sorted(found)


def test_a_flood_of_verdicts_takes_few_threads_and_the_rest_is_told_to_wait(room):
    room.note(past("one"))

    def give(_):
        try:
            room.judgements.give("one", A, Verdict.CLICKED)
        except Overloaded:
            return "told to wait"
        return "taken"

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(give, range(400)))
    assert "taken" in outcomes
    assert room.verdicts() == [("one", A, "clicked")]


def test_a_database_that_is_away_costs_no_search_and_gets_them_when_it_is_back(tmp_path):
    path = tmp_path / "state.sqlite3"
    with closing(Database.open(str(path))) as database:
        room = Room(database, kept=100_000)
        room.note(past("before"))
        away = path.with_name("away")
        database.close()
        path.rename(away)
        path.mkdir()
        for number in range(searches.WAITING + 3):
            room.searches.note(past(f"{number}"))
        room.searches.upkeep()
        database.close()
        path.rmdir()
        away.rename(path)
        room.searches.upkeep()
        assert len(room.kept()) == searches.WAITING + 1
        assert room.metrics.feedback.unkept._value.get() == 3


def test_the_last_verdicts_are_read_alone_and_new_ones_counted_as_far_as_somebody_wants_to_know(database, room):
    room.note(*(past(f"{number:03}", A) for number in range(20)))
    with database.write() as session:
        session.add_all(
            JudgementRow(query_id=f"{number:03}", image=A, verdict="relevant", comment="", judged_at=float(number))
            for number in range(20)
        )
    verdicts = Verdicts(database, "images")
    assert [one.query_id for one in verdicts.latest(3)] == ["019", "018", "017"]
    assert (verdicts.number_since(14.0, 100), verdicts.number_since(14.0, 3), verdicts.number_since(19.0, 100)) == (5, 3, 0)
    assert Verdicts(database, "others").latest(3) == []
    assert Verdicts(database, "others").number_since(0.0, 3) == 0
