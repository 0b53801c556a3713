"""Pages of rankings in which images stand that words have found, over stand-ins."""

import numpy as np
import pytest

from ml_api.embedding.fake import FakeEncoder
from ml_api.records import image_id
from ml_api.search import Arrangement, Calibrations, StoredTerm, TextTerm, Weighted
from ml_api.search.facets import COUNTED_HITS
from ml_api.search.fusion import MAX_MATCHES_ALONE
from ml_api.search.logistic import LogisticRegression
from ml_api.search.relevance import Calibration, Reference
from ml_api.texts.index import Found
from ml_api.texts.words import all_words
from ml_api.vectors.filters import Field, parse
from tests.contracts.samples import record
from tests.unit.search.shelf import RED, Shelf, keys

PLAIN = Arrangement()
BOTH = ("text", "auto")
BODLEIAN, DSC, DSC_ALONE = TextTerm("red bodleian"), TextTerm("red DSC_0412"), TextTerm("DSC_0412")
BRAND = Field(("brand",))


class WordsOf:
    """Finds as a TextIndex does, in what a store has."""

    def __init__(self, store):
        self._store = store

    def find(self, lookups):
        records = self._store.get([entry.id for entry in self._store.entries()]).values()
        said = {one.id: frozenset(all_words(one)) for one in records}
        return [self._found(lookup, said) for lookup in lookups]

    @staticmethod
    def _found(lookup, said):
        enough, words = all if lookup.needs_all else any, frozenset(lookup.words)
        images = {id_: words & has for id_, has in said.items() if enough(word in has for word in words)}
        known = {word: sum(word in has for has in said.values()) for word in lookup.words}
        return Found(dict(list(images.items())[: lookup.most]), known, len(said))


def shelf_of(count, named, said="red bodleian", calibrations=None):
    """Images of which those at the places `named` have a word, from the nearest to "red" to the farthest."""
    records = [
        record(f"{place:05}", metadata={"brand": "named", "caption": said} if place in named else {"brand": "other"})
        for place in range(count)
    ]
    return Shelf(records, WordsOf, calibrations)


def all_keys(results):
    return [key for one in results for key in keys(one)]


@pytest.mark.parametrize("match", BOTH)
@pytest.mark.parametrize("limit", [7, 40])
def test_between_equal_matches_the_vectors_decide_however_deep_a_page_is(match, limit):
    named = range(3, 280, 7)
    with shelf_of(300, named) as shelf:
        asked = {"term": BODLEIAN, "match": match}
        [whole] = shelf.pages(300, PLAIN, **asked)
        assert all_keys(shelf.pages(limit, PLAIN, **asked)) == all_keys(shelf.pages_by_cursor(limit, PLAIN, **asked)) == keys(whole)
        if match == "text":
            assert sorted(keys(whole)) == [f"{place:05}" for place in named]
            scores = [round(hit.score, 6) for hit in whole.hits]
            assert scores == sorted(scores, reverse=True)


def test_where_more_images_have_the_words_than_are_looked_up_the_nearest_are_found():
    count = MAX_MATCHES_ALONE + 200
    with shelf_of(count, range(count)) as shelf:
        nearest = shelf.search(10, 0, PLAIN, BODLEIAN, match="vector")
        assert keys(shelf.search(10, 0, PLAIN, BODLEIAN, match="text")) == keys(nearest)
        few = [f"{place:05}" for place in range(0, count, 300)]
        wanted = parse({"or": [{"key": key} for key in few]})
        assert sorted(keys(shelf.search(10, 0, PLAIN, BODLEIAN, match="text", filter=wanted))) == few


def test_a_filter_that_leaves_none_of_many_matches_costs_few_calls_of_the_store():
    with shelf_of(900, range(899)) as shelf:
        result = shelf.search(2, 0, PLAIN, BODLEIAN, match="text", filter=parse({"brand": "other"}))
        assert keys(result) == []
        assert shelf.store.gets < 12


@pytest.mark.parametrize("offset", [0, 2])
def test_facets_count_what_words_have_found(offset):
    with shelf_of(300, (5, 150, 290)) as shelf:
        only, beside = (shelf.search(1, offset, Arrangement(facets=(BRAND,)), BODLEIAN, match=match).facets for match in BOTH)
        assert (only.over, only.fields) == (3, {"brand": [("named", 3)]})
        assert (beside.over, dict(beside.fields["brand"])["named"]) == (COUNTED_HITS, 3)


@pytest.mark.parametrize("diversity", [0.01, 0.5, 1])
def test_who_is_named_stays_first_among_hits_that_are_unlike(diversity):
    with shelf_of(120, ()) as shelf:
        [farthest] = keys(shelf.search(1, 119, PLAIN, DSC))
        shelf.store.upsert(*moved(shelf, farthest, "DSC_0412"))
        assert keys(shelf.search(3, 0, Arrangement(diversity=diversity), DSC))[0] == "DSC_0412"


def moved(shelf, key, to):
    """Another image with the vector of one."""
    return [record(to, metadata={"caption": "red"})], shelf.store.vectors([image_id(key)])[image_id(key)][None]


@pytest.mark.parametrize("match", BOTH)
def test_who_is_named_and_too_far_away_takes_no_place_of_a_page(match):
    with shelf_of(120, ()) as shelf:
        first, second = shelf.search(2, 0, PLAIN, DSC).hits
        [farthest] = keys(shelf.search(1, 119, PLAIN, DSC))
        shelf.store.upsert(*moved(shelf, farthest, "DSC_0412"))
        results = shelf.pages_by_cursor(1, PLAIN, term=DSC, match=match, score=(first.score + second.score) / 2)
        assert all_keys(results) == ([] if match == "text" else [first.record.key])


def calibrated(from_score):
    """Hits are matches from this score on, and queries whose best hit is one have one."""
    return judging(from_score, from_score)


def judging(any_from, hits_from, sign=1):
    """Queries have a match if their best hit has this score, and hits are matches from that score on; or, with -1, down."""
    reference = Reference(np.eye(3, FakeEncoder().model.dim, dtype=np.float32), np.empty(0, np.uint64), np.empty(0, np.float32))
    calibrations = Calibrations("COSINE")
    any_match, is_match = (
        LogisticRegression(score * first, np.ones(len(first)), steepness * first, 0.0)
        for score, steepness, first in ((any_from, 1e4, np.eye(7)[0]), (hits_from, sign * 1e4, np.eye(9)[0]))
    )
    calibrations.use("text", Calibration(reference, any_match, is_match))
    calibrations.use("mixed", Calibration(reference, any_match, is_match))
    return calibrations


def test_a_page_of_matches_that_are_not_relevant_enough_is_not_the_last():
    with shelf_of(120, ()) as shelf:
        ranked = shelf.search(40, 0, PLAIN, BODLEIAN, match="vector").hits
    named = {int(hit.record.key) for hit in ranked[3:24]}  # one in six: moved by some places
    with shelf_of(120, named, calibrations=calibrated((ranked[0].score + ranked[1].score) / 2)) as shelf:
        assert keys(shelf.search(1, 0, PLAIN, BODLEIAN)) == [ranked[3].record.key]
        results = shelf.pages_by_cursor(1, PLAIN, term=BODLEIAN, relevance=0.9)
        assert ranked[0].record.key in all_keys(results)


def test_only_a_hit_that_may_be_shown_makes_an_answer_confident():
    with shelf_of(120, (50,), calibrations=calibrated(2.0)) as shelf:
        beside = (Weighted(StoredTerm(image_id("00050")), 0.1),)
        answers = [shelf.search(3, 0, PLAIN, BODLEIAN, beside=beside, exclude_inputs=excluded) for excluded in (False, True)]
        assert [one.confident for one in answers] == [True, False]


def test_where_all_words_must_be_found_every_page_judges_the_same_hits():
    with shelf_of(120, ()) as shelf:
        ranked = shelf.search(120, 0, PLAIN, BODLEIAN, match="vector").hits
    for rank, is_confident in ((30, True), (99, True), (100, False)):
        only_farther = judging(-2.0, ranked[rank].score, -1)
        with shelf_of(120, range(120), calibrations=only_farther) as shelf:
            answers = [shelf.search(10, offset, PLAIN, BODLEIAN, match="text") for offset in (0, 20, 110)]
            assert [found.confident for found in answers] == [is_confident] * 3, rank


def test_where_all_words_must_be_found_no_other_image_makes_an_answer_confident():
    everything = -2.0  # the score from which on an image shows a text
    with shelf_of(120, ()) as shelf:
        ranked = shelf.search(120, 0, PLAIN, BODLEIAN, match="vector").hits
    named = {int(hit.record.key) for hit in ranked[60:]}  # so many that their words make none of them certain
    answers = []
    for from_score in ((ranked[0].score + ranked[1].score) / 2, everything):
        with shelf_of(120, named, calibrations=calibrated(from_score)) as shelf:
            answers.append(shelf.search(3, 0, PLAIN, BODLEIAN, match="text"))
            nothing = shelf.search(3, 0, PLAIN, DSC, match="text")
            assert (nothing.hits, nothing.confident) == ([], False)
    assert [(len(found.hits), found.confident) for found in answers] == [(3, False), (3, True)]


@pytest.mark.parametrize("weight", [0.1, 1e-6, 0, -0.5])
def test_words_of_a_text_that_hardly_counts_move_no_hit_and_make_nothing_a_match(weight):
    with shelf_of(120, (90,), said="DSC_0412", calibrations=calibrated(2.0)) as shelf:
        found = shelf.search(3, 0, PLAIN, RED, beside=(Weighted(DSC_ALONE, weight),))
        assert {row.hit.match for row in found.rows} == {None}
        assert (max(row.relevance for row in found.rows) < 1e-6, found.confident) == (True, False)


def test_a_name_beside_no_words_counts_by_its_weight():
    with shelf_of(120, (90,), said="DSC_0412", calibrations=calibrated(2.0)) as shelf:
        for weight, named in ((1, "00090"), (1e-3, "00000")):
            beside = (Weighted(DSC_ALONE, weight),)
            assert keys(shelf.search(1, 0, PLAIN, TextTerm("\N{DOG}"), beside=beside))[0] == named


def test_who_is_named_and_shows_what_is_not_wanted_is_no_match():
    everything, nothing = -2.0, 2.0  # the score from which on an image shows a text
    with shelf_of(120, (90,), said="DSC_0412") as shelf:
        named = {"term": DSC_ALONE, "beside": (Weighted(RED, -0.5),)}
        assert keys(shelf.search(1, 0, PLAIN, **named)) == ["00090"]
    for from_score, relevance in ((everything, 0.0), (nothing, 1.0)):
        with shelf_of(120, (90,), said="DSC_0412", calibrations=calibrated(from_score)) as shelf:
            found = shelf.search(1, 0, PLAIN, **named)
            assert (found.rows[0].relevance, found.confident) == (pytest.approx(relevance, abs=1e-6), bool(relevance))


def test_a_named_hit_that_is_a_match_makes_a_page_confident_however_little_its_text_counts():
    answers = []
    for last_red in (75, 65):
        with shelf_of(120, ()) as shelf:
            red = shelf.search(1, last_red, PLAIN, RED).hits[0].score
        with shelf_of(120, (70,), said="DSC_0412", calibrations=calibrated(red)) as shelf:
            answers.append(shelf.search(100, 0, PLAIN, RED, beside=(Weighted(DSC_ALONE, 0.1),)))
    assert [found.confident for found in answers] == [True, False]


def test_common_words_that_few_images_have_together_name_none():
    """A purple apple beside a green pear is no purple pear."""
    said = [{"caption": f"a {'purple' if place % 3 else 'green'} {'pear' if place % 7 else 'apple'}"} for place in range(120)]
    said[7]["caption"] = "a purple apple beside a pear of Bodley"
    records = [record(f"{place:05}", metadata=metadata) for place, metadata in enumerate(said)]
    with Shelf(records, WordsOf, calibrated(2.0)) as shelf:
        common, rare = (shelf.search(3, 0, PLAIN, TextTerm(text)) for text in ("purple pear apple", "purple pear of Bodley"))
        assert (keys(common)[0], common.hits[0].match.fields, common.confident) == ("00007", ("caption",), False)
        assert max(row.relevance for row in common.rows) < 0.5
        assert (keys(rare)[0], rare.confident) == ("00007", True)
