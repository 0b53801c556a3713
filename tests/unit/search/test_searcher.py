"""A query is a value, and whatever its term is, it takes one way to its hits."""

from contextlib import closing

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import NotFound
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.search import ImageTerm, Query, Searcher, StoredTerm, TextTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import record
from tests.wordless import wordless

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def searcher():
    """Over NAMES, each farther from the text "red" than the one before."""
    metrics, preprocessor, encoder, store = Metrics(), FakePreprocessor(), FakeEncoder(), MemoryStore()
    store.ensure(encoder.model.model_id, encoder.model.dim)
    towards, away = encoder.embed([preprocessor.prepare_text("red"), preprocessor.prepare_text("blue")])
    mixed = np.stack([(1 - share) * towards + share * away for share in np.linspace(0.1, 0.5, len(NAMES))])
    store.upsert([record(name) for name in NAMES], mixed / np.linalg.norm(mixed, axis=1, keepdims=True))
    embedder = BatchingEncoder(encoder, metrics)
    with closing(embedder), closing(wordless(store)) as hybrid:
        yield Searcher(preprocessor, embedder, store, metrics, hybrid)


def keys(searcher, term, *options):
    result = searcher.search(Query.of(term, SearchOptions(*options)), Deadline.within(30))
    return "".join(hit.record.key for hit in result.hits), result.more


def test_queries_are_equal_if_they_ask_for_the_same():
    assert len({Query.of(TextTerm("red"), SearchOptions(10)), Query.of(TextTerm("red"), SearchOptions(10, 0))}) == 1
    assert len({Query.of(TextTerm("red"), SearchOptions(10)), Query.of(TextTerm("red"), SearchOptions(10, 1))}) == 2
    assert Query.of(TextTerm("red"), SearchOptions(10)) != Query.of(StoredTerm("red"), SearchOptions(10))


def test_an_image_is_equal_to_itself_alone():
    one, other = (ImageTerm(np.zeros((8, 8, 3), dtype=np.uint8)) for _ in range(2))
    assert len({Query.of(term, SearchOptions(10)) for term in (one, one, other)}) == 2


@pytest.mark.parametrize(
    ("options", "found"),
    [((5,), ("abcde", False)), ((4,), ("abcd", True)), ((2, 2), ("cd", True)), ((3, 2), ("cde", False)), ((2, 5), ("", False))],
)
def test_pages_continue_each_other_and_the_last_says_so(searcher, options, found):
    assert keys(searcher, TextTerm("red"), *options) == found


@pytest.mark.parametrize(
    ("options", "found"),
    [((4,), ("bdae", False)), ((3,), ("bda", True)), ((1, 1), ("d", True)), ((2, 2), ("ae", False)), ((2, 4), ("", False))],
)
def test_a_stored_image_is_left_out_wherever_a_page_begins(searcher, options, found):
    assert keys(searcher, StoredTerm(image_id("c")), *options) == found


def test_an_image_that_is_not_stored_is_not_found(searcher):
    with pytest.raises(NotFound, match=image_id("z")):
        keys(searcher, StoredTerm(image_id("z")), 5)
