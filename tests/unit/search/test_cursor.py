"""Pages that follow each other by cursor, while the corpus changes between them."""

import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import InvalidCursor
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.search import ImageTerm, Query, Searcher, StoredTerm, TextTerm, Thresholds, VectorTerm, Weighted
from ml_api.search.cursor import LIFETIME_S, MAX_CURSOR_CHARS, REMEMBERED, Cursors, Position
from ml_api.search.query import MAX_DEPTH
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import parse
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import record
from tests.wordless import wordless

DIM = FakeEncoder().model.dim
TARGET = VectorTerm(tuple(np.eye(DIM)[0].tolist()))
TERM = Weighted(TARGET)
OPTIONS = SearchOptions(2)
MODEL = "model@1"


def at(score):
    """A vector with this score to TARGET."""
    vector = np.zeros(DIM, dtype=np.float32)
    vector[0], vector[1] = score, np.sqrt(1 - score**2)
    return vector


class Wall:
    """Images at chosen scores, searched page by page."""

    def __init__(self, embedder, store):
        self.store = store
        self.store.ensure(embedder.model.model_id, DIM)
        self.searcher = Searcher(FakePreprocessor(), embedder, store, Metrics(), wordless(store))

    def hang(self, scores):
        if scores:
            self.store.upsert([record(key) for key in scores], np.stack([at(score) for score in scores.values()]))

    def row(self, count, start=0.9, stop=0.1):
        """As many, each farther than the one before."""
        keys = [f"{place:05}" for place in range(count)]
        self.hang(dict(zip(keys, np.linspace(start, stop, count), strict=True)))
        return keys

    def take(self, *keys):
        self.store.delete([image_id(key) for key in keys])

    def page(self, limit, cursor=None, **query):
        query = Query((TERM,), SearchOptions(limit), cursor=cursor, **query)
        result = self.searcher.search(query, Deadline.within(30))
        return [hit.record.key for hit in result.hits], result.next_cursor

    def pages(self, limit, cursor=None, **query):
        """All that are left."""
        found = []
        while True:
            keys, cursor = self.page(limit, cursor, **query)
            found.append(keys)
            if cursor is None:
                return found


@pytest.fixture(scope="module")
def embedder():
    embedder = BatchingEncoder(FakeEncoder(), Metrics())
    yield embedder
    embedder.close()


@pytest.fixture
def wall(embedder):
    return Wall(embedder, MemoryStore())


def together(pages):
    return [key for page in pages for key in page]


def test_pages_follow_each_other_to_the_end(wall):
    keys = wall.row(7)
    assert wall.pages(3) == [keys[:3], keys[3:6], keys[6:]]
    assert wall.pages(7) == [keys]
    assert wall.pages(8) == [keys]


def test_a_page_may_have_another_size_than_the_one_before(wall):
    keys = wall.row(7)
    _, cursor = wall.page(2)
    assert wall.pages(4, cursor) == [keys[2:6], keys[6:]]


def test_what_is_deleted_between_pages_moves_nothing(wall):
    keys = wall.row(8)
    _, cursor = wall.page(3)
    wall.take(keys[0], keys[2], keys[4])
    assert together(wall.pages(3, cursor)) == [keys[3], *keys[5:]]


def test_what_is_added_between_pages_moves_nothing_and_is_shown(wall):
    keys = wall.row(8)
    _, cursor = wall.page(3)
    wall.hang({"best": 0.95, "later": 0.2})
    rest = together(wall.pages(3, cursor))
    assert rest[0] == "best"
    assert [key for key in rest if key not in {"best", "later"}] == keys[3:]
    assert len(rest) == len(set(rest))
    assert "later" in rest


def test_what_was_delivered_is_embedded_anew_and_does_not_come_again(wall):
    keys = wall.row(8)
    _, cursor = wall.page(3)
    wall.hang({keys[0]: 0.3, keys[7]: 0.94})
    assert together(wall.pages(3, cursor)) == [keys[7], *keys[3:7]]


def test_equal_scores_are_told_apart(wall):
    keys = [f"{place}" for place in range(9)]
    wall.hang(dict.fromkeys(keys, 0.5))
    _, cursor = wall.page(4)
    wall.take(keys[0])
    rest = together(wall.pages(2, cursor))
    assert len(rest) == len(set(rest)) == 5


class ShortSighted(MemoryStore):
    """As an index that finds "shy" only if it looks far."""

    def search(self, vectors, options, deadline=None):
        [hits] = super().search(vectors, replace(options, limit=options.limit + 1), deadline)
        seen = hits if options.window > 6 else [hit for hit in hits if hit.record.key != "shy"]
        return [seen[: options.limit]]


def test_what_a_wider_search_finds_later_is_not_lost(embedder):
    wall = Wall(embedder, ShortSighted())
    keys = wall.row(8)
    wall.hang({"shy": 0.89})
    assert wall.page(4)[0] == keys[:4]
    assert wall.pages(4) == [keys[:4], ["shy", *keys[4:7]], keys[7:]]


def test_hits_that_fall_short_of_the_relevance_or_score_are_not_asked_for_again(wall):
    keys = wall.row(8, 0.8, 0.1)
    assert wall.pages(3, thresholds=Thresholds(score=0.45)) == [keys[:3], keys[3:4]]


def test_a_stored_image_that_is_asked_with_stays_left_out(wall):
    keys = wall.row(6)
    query = Query((Weighted(StoredTerm(image_id(keys[0]))),), OPTIONS)
    found = []
    while True:
        result = wall.searcher.search(query, Deadline.within(30))
        found += [hit.record.key for hit in result.hits]
        if result.next_cursor is None:
            break
        query = replace(query, cursor=result.next_cursor)
    assert found == keys[1:]


def test_an_offset_gives_no_cursor(wall):
    wall.row(8)
    result = wall.searcher.search(Query((TERM,), SearchOptions(2, 2)), Deadline.within(30))
    assert (result.more, result.next_cursor) == (True, None)


def test_a_long_ranking_is_paged_through_whole(wall):
    keys = wall.row(2 * REMEMBERED + 200)
    pages = wall.pages(100)
    assert together(pages) == keys
    assert {len(page) for page in pages[:-1]} == {100}


def test_far_down_too_nothing_comes_twice_or_is_missed_while_much_changes(wall):
    keys = wall.row(2 * REMEMBERED + 200)
    found, cursor = [], None
    while len(found) < 2 * REMEMBERED:
        page, cursor = wall.page(100, cursor)
        found += page
    wall.take(*keys[:REMEMBERED])  # far more than are read again
    page, cursor = wall.page(100, cursor)
    found += page
    wall.hang({f"new {place}": 0.95 for place in range(2 * REMEMBERED)})  # so far above, they count as delivered
    found += together(wall.pages(100, cursor))
    assert found == keys


def test_more_copies_than_a_cursor_remembers_come_once_each(wall):
    keys = [f"{place:05}" for place in range(2 * REMEMBERED + 200)]
    wall.hang(dict.fromkeys(keys, 0.5))
    found = together(wall.pages(100))
    assert sorted(found) == keys


def test_scores_may_tremble(embedder):
    """As of texts that are embedded in batches of other sizes."""

    class Trembling(MemoryStore):
        turn = 0

        def search(self, vectors, options, deadline=None):
            self.turn += 1
            shift = np.random.default_rng(self.turn).normal(0, 2e-3, DIM).astype(np.float32)
            return super().search(vectors + shift, options, deadline)

    wall = Wall(embedder, Trembling())
    keys = wall.row(2 * REMEMBERED)
    assert sorted(together(wall.pages(100))) == keys


def test_pages_end_where_offsets_do(embedder):
    class Endless(MemoryStore):
        """Finds another image at each place."""

        def search(self, vectors, options, deadline=None):
            [[hit]] = super().search(vectors, SearchOptions(1), deadline)
            places = range(options.offset, options.window)
            ranked = [
                replace(hit, record=replace(hit.record, id=f"{place:010x}" + "0" * 22), score=-place / 1e5) for place in places
            ]
            return [ranked]

    wall = Wall(embedder, Endless())
    wall.row(1)
    assert len(together(wall.pages(100))) == MAX_DEPTH


@settings(max_examples=40)
@given(
    start=st.lists(st.integers(0, 30), max_size=30),
    steps=st.lists(
        st.tuples(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 30)), max_size=4))
    ),
)
def test_whatever_changes_nothing_comes_twice_and_what_stays_is_not_missed(embedder, start, steps):
    """Images are numbers; each step is a page's size, and then changes: a number with its new score, or that it goes."""
    wall = Wall(embedder, MemoryStore())
    wall.hang({str(number): score / 31 for number, score in enumerate(start)})
    stayed = {str(number) for number in range(len(start))}
    found, cursor = [], None
    for limit, changes in steps:
        page, cursor = wall.page(limit, cursor)
        found += page
        if cursor is None:
            break
        for number, score in changes:
            stayed.discard(str(number))
            wall.take(str(number)) if score is None else wall.hang({str(number): score / 31})
    else:
        found += together(wall.pages(3, cursor))
    assert len(found) == len(set(found))
    assert stayed <= set(found)


class TestText:
    """A position as text."""

    cursors = Cursors("images", clock=lambda: 1_800_000_000.0)
    query = Query((Weighted(TextTerm("red")),), OPTIONS)
    position = Position((b"\x00\x01\x02\x03\x04", b"vwxyz"), 3, 0.25)

    def written(self):
        return self.cursors.write(self.position, self.query, MODEL)

    def refused(self, text, query=query, cursors=cursors, model=MODEL):
        with pytest.raises(InvalidCursor) as caught:
            cursors.read(replace(query, cursor=text), model)
        return caught.value.detail

    def test_comes_back_as_it_was(self):
        assert self.cursors.read(replace(self.query, cursor=self.written()), MODEL) == self.position
        assert self.cursors.read(self.query, MODEL) == Position()

    def test_stays_short_and_fits_in_a_url_however_deep_it_leads(self):
        position = Position(tuple(number.to_bytes(5) for number in range(REMEMBERED)), MAX_DEPTH, -0.123456)
        text = self.cursors.write(position, self.query, MODEL)
        assert MAX_CURSOR_CHARS - 100 < len(text) <= MAX_CURSOR_CHARS
        assert set(text) <= {*string.ascii_letters, *string.digits, "-", "_"}

    def test_every_changed_character_is_noticed(self):
        text = self.written()
        for place, character in enumerate(text):
            other = text[:place] + ("A" if character != "A" else "B") + text[place + 1 :]
            assert self.refused(other).startswith(("cursor: was changed", "cursor: was cut off", "cursor: leads nowhere")), place

    def test_says_that_it_was_cut(self):
        text = self.written()
        assert self.refused(text[:-3]) == (
            f"cursor: was cut off, to {len(text) - 3} of {len(text)} characters; send it whole, or begin again without cursor"
        )
        assert self.refused("AAAA") == (
            "cursor: has only 4 characters, fewer than any has; send it whole, or begin again without cursor"
        )

    @pytest.mark.parametrize("text", ["", "é", "not a cursor", "A", "====", "a" * 100, "\0"])
    def test_other_text_is_refused(self, text):
        assert self.refused(text)

    def test_expires_after_a_day(self):
        later = Cursors("images", clock=lambda: 1_800_000_001.0 + LIFETIME_S)
        assert self.refused(self.written(), cursors=later) == (
            "cursor: expired at 2027-01-16 08:00:00 UTC; begin again without cursor"
        )

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"terms": (Weighted(TextTerm("blue")),)}, "belongs to a search for something else"),
            ({"terms": (Weighted(TextTerm("red"), 0.5),)}, "belongs to a search for something else"),
            ({"options": replace(OPTIONS, filter=parse({"price": 1}))}, "belongs to a search with another filter"),
            ({"options": replace(OPTIONS, exact=True)}, "belongs to a search with other parameters"),
            ({"thresholds": Thresholds(score=0.1)}, "belongs to a search with other parameters"),
            ({"exclude_inputs": False}, "belongs to a search with other parameters"),
        ],
    )
    def test_belongs_to_its_search(self, changed, told):
        assert told in self.refused(self.written(), replace(self.query, **changed))

    def test_belongs_to_its_collection_and_model(self):
        assert "another collection" in self.refused(self.written(), cursors=Cursors("others", clock=self.cursors._clock))
        assert "the model that was in use before" in self.refused(self.written(), model="model@2")

    def test_the_number_of_hits_and_explanations_may_change(self):
        query = replace(self.query, options=SearchOptions(50), explain=True, cursor=self.written())
        assert self.cursors.read(query, MODEL) == self.position

    def test_an_image_is_known_by_its_pixels(self):
        red, same, blue = (np.full((4, 4, 3), colour, dtype=np.uint8) for colour in (200, 200, 90))
        text = self.cursors.write(self.position, Query.of(ImageTerm(red), OPTIONS), MODEL)
        assert self.cursors.read(Query.of(ImageTerm(same), OPTIONS, cursor=text), MODEL) == self.position
        assert "something else" in self.refused(text, Query.of(ImageTerm(blue), OPTIONS))
