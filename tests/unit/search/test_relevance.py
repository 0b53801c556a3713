"""An image's relevance for a query is the same however the ranking is cut: by filters, pages, groups, or with others in a batch."""

from contextlib import closing
from dataclasses import replace
from itertools import starmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_api.calibration import IndexedCorpus
from ml_api.calibration.fitting import calibrate_all
from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.metrics import Metrics
from ml_api.records import Hit
from ml_api.search import Arrangement, Calibrations, Query, Searcher, StoredTerm, TextTerm, Thresholds, Weighted
from ml_api.search.grouping import DUPLICATES
from ml_api.search.hybrid import Hybrid
from ml_api.search.logistic import LogisticRegression
from ml_api.search.negation import UNWANTED
from ml_api.search.pages import CONFIDENCE_HITS
from ml_api.search.relevance import CONFIDENT, Calibration, Estimator, Reference, fingerprints_of
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import Field, parse
from tests.captioned import COLOURS, described, filled
from tests.unit.search.shelf import CountingStore
from tests.unit.search.test_fused_pages import WordsOf

COUNT = 240
SAME = 1e-5
"""Scores differ in the last digit with what they are computed beside; answers show four decimals."""
STORED = StoredTerm(described(3).id)
QUERIES = {
    "text": (Weighted(TextTerm("red bargo")),),
    "no match": (Weighted(TextTerm("zebra")),),
    "image": (Weighted(STORED),),
    "texts": (Weighted(TextTerm("red bargo")), Weighted(TextTerm("blue"), -0.5)),
    "mixed": (Weighted(STORED), Weighted(TextTerm("black"))),
}


class NotedSearches:
    """What OnlineRecall would repeat."""

    def __init__(self):
        self.filters = []

    def note(self, _vectors, options, _found):
        self.filters.append(options.filter)


class Corpus:
    """A searcher over captioned images that are calibrated, and whose words are found."""

    def __init__(self):
        metrics, preprocessor, encoder = Metrics(), FakePreprocessor(), FakeEncoder()
        self.store = filled(COUNT, kind=CountingStore)
        self.calibrations = calibrations = Calibrations("COSINE")
        for kind, made in calibrate_all(IndexedCorpus(self.store, "COSINE", preprocessor, encoder)).items():
            calibrations.use(kind, made.calibration)
        self._embedder = BatchingEncoder(encoder, metrics)
        self._hybrid = Hybrid(WordsOf(self.store), self.store, "COSINE", metrics)
        self.recall = NotedSearches()
        self._searcher = Searcher(preprocessor, self._embedder, self.store, metrics, self._hybrid, calibrations, self.recall)

    def close(self):
        self._hybrid.close()
        self._embedder.close()

    def search(self, *queries):
        return self._searcher.search_all(queries, Deadline.within(60))

    def whole(self, name, match="auto"):
        """The relevances of all images, by id, and whether there is a match."""
        [result] = self.search(asked(name, match=match))
        assert result.confident is not None
        return {row.hit.record.id: row.relevance for row in result.rows}, result.confident


def asked(name, limit=COUNT, offset=0, **more):
    options = SearchOptions(limit, offset, filter=more.pop("filter", None))
    return Query(QUERIES[name], options, match=more.pop("match", "vector"), **more)


@pytest.fixture(scope="module")
def corpus():
    with closing(Corpus()) as corpus:
        yield corpus


def relevances(*results):
    return {row.hit.record.id: row.relevance for result in results for row in result.rows}


def agree(part, whole):
    """Whether there is anything in a part, and it is judged as the whole is."""
    assert part
    assert part == pytest.approx({image: whole[image] for image in part}, abs=SAME)


CONDITIONS = st.one_of(
    st.sampled_from(COLOURS).map(lambda colour: {"colour": {"eq": colour}}),
    st.lists(st.sampled_from(COLOURS), min_size=1, max_size=3).map(lambda colours: {"colour": {"in": colours}}),
    st.integers(0, 23).map(lambda tens: {"key": {"prefix": f"IMG_{tens:03d}"}}),
    st.integers(0, COUNT - 1).map(lambda number: {"key": {"eq": f"IMG_{number:04d}.jpg"}}),
    st.just({"caption": {"exists": True}}),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda some: st.one_of(some.map(lambda one: {"not": one}), st.lists(some, min_size=1, max_size=2).map(lambda two: {"or": two})),
)


@pytest.mark.parametrize("match", ["vector", "auto"])
@pytest.mark.parametrize("name", QUERIES)
def test_a_hit_is_as_relevant_with_a_filter_as_without(corpus, name, match):
    whole, _ = corpus.whole(name, match)

    @given(FILTERS, st.integers(0, 12), st.integers(1, 40))
    @settings(max_examples=12)
    def check(given_filter, offset, limit):
        [result] = corpus.search(asked(name, limit, offset, match=match, filter=parse(given_filter)))
        for row in result.rows:
            assert row.relevance == pytest.approx(whole[row.hit.record.id], abs=SAME), given_filter

    check()


@pytest.mark.parametrize("name", QUERIES)
def test_a_filter_that_leaves_all_images_changes_nothing(corpus, name):
    whole, confident = corpus.whole(name, "vector")
    [result] = corpus.search(asked(name, filter=parse({"key": {"prefix": "IMG"}})))
    assert relevances(result) == pytest.approx(whole, abs=SAME)
    assert result.confident == confident


@pytest.mark.parametrize("logit", [-3.0, -0.1, 0.1, 3.0])
def test_no_hit_is_likelier_to_match_than_that_there_is_a_match(logit):
    """Of "a laptop on a desk" nothing was likely to match, and each of four hits was: two fits say so."""
    hits = [Hit(described(number), 0.8 - number / 5) for number in range(8)]
    any_match = LogisticRegression(np.zeros(7), np.ones(7), np.zeros(7), logit)
    by_score = LogisticRegression(np.zeros(9), np.ones(9), np.eye(1, 9)[0], 0.0)
    reference = Reference(np.zeros((1, 1), np.float32), np.zeros(0, np.uint64), np.zeros(0, np.float32))
    estimator = Estimator(Calibration(reference, any_match, by_score), "COSINE", hits, np.zeros(7), familiarity=0.9)
    for hit, relevance in zip(hits, estimator.relevances(hits), strict=True):
        assert relevance <= estimator.any_match([hit]) * (1 + 1e-9)


def made_up(seed, share, any_logit, level):
    """By it a `share` of images matches, whatever their rank: those on which others score little."""
    random, images = np.random.default_rng(seed), [described(number) for number in range(COUNT)]
    marks = np.sort(fingerprints_of(images))
    background = random.normal(0, 0.1, (9, FakeEncoder().model.dim)).astype(np.float32)
    reference = Reference(background, marks, random.choice([-1.0, 1.0], COUNT, p=[share, 1 - share]).astype(np.float32))
    any_match = LogisticRegression(np.zeros(7), np.ones(7), np.zeros(7), any_logit)
    is_match = LogisticRegression(level * np.eye(9)[1], np.ones(9), 20 * np.eye(9)[1], 0.0)
    return Calibration(reference, any_match, is_match)


@pytest.mark.parametrize("name", ["text", "texts", "image", "mixed"])
def test_an_answer_with_a_likely_hit_is_confident_on_every_page(name):
    with closing(Corpus()) as corpus:

        @given(
            st.builds(made_up, st.integers(0, 9), st.sampled_from([0.05, 0.5]), st.floats(-1, 4), st.floats(-0.5, 0.5)),
            st.none() | FILTERS,
            st.sampled_from([Arrangement(), Arrangement(Field(("colour",))), Arrangement(diversity=0.5)]),
        )
        @settings(max_examples=40)
        def check(calibration, given_filter, arrangement):
            for kind in ("text", "image", "mixed"):
                corpus.calibrations.use(kind, calibration)
            only = given_filter and parse(given_filter)
            pages = [
                corpus.search(asked(name, 20, place, filter=only, arrangement=arrangement))[0]
                for place in range(0, CONFIDENCE_HITS, 20)
            ]
            confident = {page.confident for page in pages}
            assert len(confident) == 1
            if any(row.relevance >= CONFIDENT for page in pages for row in page.rows):
                assert confident == {True}

        check()


def test_an_answer_is_confident_if_the_filter_leaves_what_matches(corpus):
    [red], [blue], [none] = (
        corpus.search(asked(name, filter=parse({"colour": colour})))
        for name, colour in (("text", "red"), ("text", "blue"), ("no match", "red"))
    )
    assert (red.confident, blue.confident, none.confident) == (True, False, False)
    [few] = corpus.search(asked("text", filter=parse({"key": red.hits[0].record.key})))
    assert (len(few.rows), few.confident) == (1, True)
    [nothing] = corpus.search(asked("text", filter=parse({"key": "no such image"})))
    assert (nothing.rows, nothing.confident) == ([], False)


RED, BARGO = TextTerm("red"), TextTerm("bargo")


def judged(corpus, *terms):
    """The hits of a query of such terms, as what is said of each, and its relevance; and whether there is a match."""
    [result] = corpus.search(Query(tuple(starmap(Weighted, terms)), SearchOptions(COUNT), match="vector"))
    return [(row.hit.record.metadata["caption"].split(), row.relevance) for row in result.rows], result.confident


def test_of_a_text_without_another_likely_are_the_likely_matches_of_the_first_that_are_none_of_the_other(corpus):
    (alone, _), (without, confident) = judged(corpus, (RED, 1.0)), judged(corpus, (RED, 1.0), (BARGO, UNWANTED))
    likely_alone, likely = ([said for said, relevance in hits if relevance >= CONFIDENT] for hits in (alone, without))
    assert confident
    assert ["a", "red", "bargo"] in likely_alone
    assert sorted(likely) == sorted(said for said in likely_alone if "bargo" not in said)


def test_of_two_texts_the_likeliest_are_the_matches_of_both(corpus):
    hits, confident = judged(corpus, (RED, 1.0), (BARGO, 1.0))
    best = sorted(hits, key=lambda hit: -hit[1])[:3]
    assert confident
    assert all({"red", "bargo"} <= {*said} for said, _ in best)


def test_what_no_image_shows_has_no_match_without_something_else_either(corpus):
    hits, confident = judged(corpus, (TextTerm("zebra"), 1.0), (BARGO, UNWANTED))
    assert not confident
    assert max(relevance for _, relevance in hits) < CONFIDENT


def test_the_search_that_hits_are_judged_by_does_not_count_for_the_recall_of_live_searches(corpus):
    """Nobody is answered with it, and without a filter the index finds more."""
    only = parse({"colour": {"eq": "red"}})
    corpus.recall.filters.clear()
    corpus.search(asked("text", 10, filter=only))
    assert corpus.recall.filters == [only]


@pytest.mark.parametrize("only", [None, parse({"colour": {"in": ["red", "blue", "black"]}})], ids=["all", "filtered"])
@pytest.mark.parametrize("name", QUERIES)
def test_every_page_judges_as_one_long_page_would(corpus, name, only):
    whole, _ = corpus.whole(name, "vector")
    confident = corpus.search(asked(name, filter=only))[0].confident
    by_offset = [corpus.search(asked(name, 7, offset, filter=only))[0] for offset in range(0, 35, 7)]
    by_cursor = [by_offset[0]]
    while len(by_cursor) < 5:
        by_cursor += corpus.search(asked(name, 7, filter=only, cursor=by_cursor[-1].next_cursor))
    agree(relevances(*by_offset), whole)
    assert relevances(*by_cursor) == pytest.approx(relevances(*by_offset), abs=SAME)
    assert {result.confident for result in (*by_offset, *by_cursor)} == {confident}


@pytest.mark.parametrize("only", [None, parse({"colour": "red"})], ids=["all", "filtered"])
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize(
    "arrangement",
    [
        Arrangement(DUPLICATES),
        Arrangement(Field(("caption",))),
        Arrangement(diversity=0.7),
        Arrangement(facets=(Field(("colour",)),)),
    ],
    ids=["duplicates", "field", "diversity", "facets"],
)
def test_groups_diversity_and_facets_leave_relevances_as_they_are(corpus, name, arrangement, only):
    whole, _ = corpus.whole(name, "vector")
    agree(relevances(*corpus.search(asked(name, 10, 0, arrangement=arrangement, filter=only))), whole)


@pytest.mark.parametrize("name", ["image", "mixed"])
def test_an_image_that_is_asked_for_does_not_change_how_others_are_judged(corpus, name):
    whole, confident = corpus.whole(name, "vector")
    [result] = corpus.search(asked(name, exclude_inputs=False))
    found = relevances(result)
    itself = found.pop(STORED.image_id)
    agree(found, whole)
    assert result.confident == confident
    [alone] = corpus.search(asked(name, exclude_inputs=False, filter=parse({"key": described(3).key})))
    assert relevances(alone)[STORED.image_id] == pytest.approx(itself, abs=SAME)


def test_queries_of_a_batch_are_judged_as_alone(corpus):
    filters = [None, parse({"colour": "red"}), parse({"colour": "blue"})]
    queries = [
        asked(name, limit, offset, filter=only) for name in QUERIES for only in filters for limit, offset in ((10, 0), (5, 20))
    ]
    for query, result in zip(queries, corpus.search(*queries), strict=True):
        [alone] = corpus.search(query)
        assert relevances(result) == pytest.approx(relevances(alone), abs=SAME)
        assert result.confident == alone.confident


def test_thresholds_leave_the_same_images_out_with_a_filter_and_without(corpus):
    whole, _ = corpus.whole("text", "vector")
    least = sorted(whole.values())[-8]
    query = replace(asked("text", filter=parse({"colour": "red"})), thresholds=Thresholds(relevance=least))
    [result] = corpus.search(query)
    assert relevances(result).keys() <= {image for image, one in whole.items() if one >= least - 1e-4}
    assert len(result.rows) > 1


def test_groups_are_not_read_for_to_the_end_once_none_of_what_was_read_is_relevant_enough(corpus):
    query = asked("no match", 2, match="vector", arrangement=Arrangement(Field(("caption",))))
    before = corpus.store.searches
    [result] = corpus.search(replace(query, thresholds=Thresholds(relevance=0.9)))
    assert (result.rows, corpus.store.searches - before) == ([], 1)


def test_only_a_filter_costs_one_more_call_of_the_store(corpus):
    calls = []
    for only in (None, parse({"colour": "red"})):
        before = corpus.store.searches
        corpus.search(asked("text", 10, filter=only))
        calls.append(corpus.store.searches - before)
    assert calls == [1, 2]


@pytest.mark.parametrize("match", ["auto", "text"])
def test_words_name_an_image_as_certainly_with_a_filter_as_without(corpus, match):
    """Some images have both words: a filter that leaves one of them does not make it the only one that is meant."""
    [result] = corpus.search(asked("text", match=match))
    named = [row for row in result.rows if row.hit.match]
    assert len(named) > 2
    for row in named:
        [alone] = corpus.search(asked("text", match=match, filter=parse({"key": row.hit.record.key})))
        assert [(one.hit.match, one.relevance) for one in alone.rows] == [(row.hit.match, pytest.approx(row.relevance, abs=SAME))]
