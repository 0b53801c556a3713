"""Whether there is a match, and how likely each hit is one, as answers over a calibrated corpus say it."""

import json

import pytest

from ml_api.calibration import IndexedCorpus, calibrate
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from tests.api.stand import build_stand, picture, write_corpus
from tests.captioned import add_images

MATCH, NO_MATCH = "red bargo", "zebra"
RED = {"colour": {"eq": "red"}}


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """One for all tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("relevance")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails")
    add_images(stand.services.engine.store, range(240))
    made = calibrate(IndexedCorpus(stand.services.engine.store, "COSINE", FakePreprocessor(), FakeEncoder()))
    stand.services.engine.calibration.calibrations.use("text", made.calibration)
    yield stand
    stand.services.close()


@pytest.fixture
def client(stand):
    return stand.client


def answer(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def search(client, text=MATCH, **parameters):
    return answer(client.get("/v1/search/text", query_string={"q": text, **parameters}))


def keys(found):
    return [hit["key"] for hit in found["hits"]]


def test_each_hit_has_a_probability_and_the_answer_says_whether_there_is_a_match(client):
    found, none = search(client), search(client, NO_MATCH)
    assert (found["confident"], none["confident"]) == (True, False)
    assert all(0 <= hit["relevance"] <= 1 for one in (found, none) for hit in one["hits"])
    assert found["hits"][0]["relevance"] > 0.5 > none["hits"][0]["relevance"]


def test_texts_are_judged_alike_on_every_route(client):
    expected = search(client)
    for found in (
        answer(client.post("/v1/search/text", json={"q": MATCH})),
        answer(client.post("/v1/search", json={"query": [{"text": MATCH}]})),
        answer(client.post("/v1/search", json={"query": [{"text": MATCH, "weight": 3}]})),
        answer(client.post("/v1/search/batch", json={"queries": [{"query": [{"text": MATCH}]}]}))["results"][0]["found"],
    ):
        assert found["confident"] is True
        assert [(hit["key"], hit["relevance"]) for hit in found["hits"]] == [
            (hit["key"], hit["relevance"]) for hit in expected["hits"]
        ]


def test_what_is_not_calibrated_is_null_and_its_hits_all_pass(client, stand):
    image = stand.id("red.png")
    some = {"min_relevance": 1}
    for found in (
        answer(client.post("/v1/search/image", query_string=some, data=picture(), content_type="image/png")),
        answer(client.get(f"/v1/images/{image}/similar", query_string=some)),
        answer(client.post("/v1/search", json={"query": [{"text": MATCH, "weight": -1}], **some})),
        answer(client.post("/v1/search", json={"query": [{"text": MATCH}, {"id": image}], **some})),
    ):
        assert found["confident"] is None
        assert len(found["hits"]) == 10
        assert {hit["relevance"] for hit in found["hits"]} == {None}


def test_each_query_of_a_batch_has_its_own_thresholds(client):
    whole = search(client)
    least = whole["hits"][3]["score"]
    queries = [
        {"query": [{"text": MATCH}]},
        {"query": [{"text": MATCH}], "min_score": least},
        {"query": [{"text": NO_MATCH}], "min_relevance": 0.99},
        {"query": [{"text": MATCH}], "min_relevance": 0, "limit": 2, "offset": 3},
        {"query": [{"text": MATCH}, {"text": "blue", "weight": -0.1}], "min_relevance": 0.99},
    ]
    every, by_score, none, later, several = (
        one["found"] for one in answer(client.post("/v1/search/batch", json={"queries": queries}))["results"]
    )
    assert keys(every) == keys(whole)
    assert keys(by_score) == keys(whole)[:4]
    assert (by_score["next"], by_score["confident"]) == (None, True)
    assert (keys(none), none["next"], none["confident"]) == ([], None, False)
    assert (keys(later), later["next"]) == (keys(whole)[3:5], 5)
    assert [hit["relevance"] for hit in later["hits"]] == [hit["relevance"] for hit in whole["hits"][3:5]]
    assert several["confident"] is True
    assert keys(several)
    assert all(hit["relevance"] >= 0.99 for hit in several["hits"])


@pytest.mark.parametrize("name", ["score", "relevance"])
@pytest.mark.parametrize("text", [MATCH, "blue hepnix", NO_MATCH])
def test_a_number_that_an_answer_shows_is_a_threshold_that_its_hit_passes(client, name, text):
    for hit in search(client, text)["hits"]:
        found = search(client, text, **{f"min_{name}": repr(hit[name])})
        assert hit["key"] in keys(found)
        assert all(one[name] >= hit[name] for one in found["hits"])


@pytest.mark.parametrize("text", [MATCH, NO_MATCH])
def test_a_filter_and_a_threshold_hold_both(client, text):
    whole = search(client, text, filter=json.dumps(RED), limit=100)
    assert {hit["metadata"]["colour"] for hit in whole["hits"]} == {"red"}
    for name, of_hit in (("min_score", "score"), ("min_relevance", "relevance")):
        least = sorted(hit[of_hit] for hit in whole["hits"])[-5]
        found = search(client, text, filter=json.dumps(RED), limit=100, **{name: repr(least)})
        assert keys(found) == [hit["key"] for hit in whole["hits"] if hit[of_hit] >= least]
        assert found["confident"] == whole["confident"]


def test_confidence_is_of_the_images_that_a_filter_leaves(client):
    assert not search(client, "red dolgo", filter=json.dumps({"colour": {"eq": "blue"}}))["confident"]


def pages(client, text, **parameters):
    """Every page, from the first to that without `next`."""
    found, offset = [], 0
    while offset is not None:
        assert len(found) < 50, "there is no end of it"
        found.append(search(client, text, offset=offset, **parameters))
        before, offset = offset, found[-1]["next"]
        assert offset is None or offset == before + parameters["limit"]
    return found


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
@pytest.mark.parametrize("only", [{}, {"filter": json.dumps(RED)}], ids=["all", "filtered"])
def test_pages_down_to_a_score_hold_what_one_page_would(client, limit, only):
    whole = search(client, limit=100, **only)
    for place in (0, 6, 11):
        least = repr(whole["hits"][place]["score"])
        paged = pages(client, MATCH, limit=limit, min_score=least, **only)
        assert [key for page in paged for key in keys(page)] == keys(whole)[: place + 1]
        assert len(paged) <= place // limit + 2
        assert {page["confident"] for page in paged} == {whole["confident"]}


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_of_what_is_relevant_end_after_one_that_has_none_of_it(client, limit):
    whole = search(client, limit=100)["hits"]
    for least in (0.02, 0.5, 1):
        paged = pages(client, MATCH, limit=limit, min_relevance=least)
        expected = []
        for start in range(0, 100, limit):
            some = [hit["key"] for hit in whole[start : start + limit] if hit["relevance"] >= least]
            if not some:
                break
            expected += some
        assert [key for page in paged for key in keys(page)] == expected
        assert len(paged) <= 100 // limit + 1


def test_what_a_threshold_leaves_out_is_counted_as_the_nearest_all_the_same(client, stand):
    def nearest():
        return stand.services.metrics.registry.get_sample_value("ml_api_top1_similarity_count", {"modality": "text"}) or 0

    before = nearest()
    assert keys(search(client, NO_MATCH, min_score=1)) == []
    assert nearest() == before + 1
