"""Verdicts on hits: taken, refused and exported; and what is kept of searches."""

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.stand import COLOURS, assert_problem, fill_disk, picture

RED = {"text": "red"}


def search(client, **body):
    return client.post("/v1/search", json={"query": [RED], **body}).get_json()


def judge(client, query_id, image, verdict="relevant", **more):
    return client.post("/v1/feedback", json={"query_id": query_id, "id": image, "verdict": verdict, **more})


def exported(client):
    response = client.get("/v1/feedback")
    assert response.content_type == "application/x-ndjson"
    assert "Content-Length" not in response.headers, "it is to be streamed"
    return [json.loads(line) for line in response.get_data(as_text=True).splitlines()]


def test_a_hit_of_every_kind_of_search_is_judged_and_exported(client, stand):
    red = stand.id("red.png")
    found = {
        "text": client.get("/v1/search/text?q=red").get_json(),
        "image": client.post("/v1/search/image", data=picture(COLOURS["red.png"]), content_type="image/png").get_json(),
        "similar": client.get(f"/v1/images/{stand.id('pink.png')}/similar").get_json(),
        "composed": search(client, offset=1, limit=2, filter={"width": 64}, more_like=[red]),
    }
    for answer in found.values():
        response = judge(client, answer["query_id"], answer["hits"][0]["id"], comment="<script>alert(1)</script> \u2028")
        assert response.get_json() == {
            "query_id": answer["query_id"],
            "id": answer["hits"][0]["id"],
            "verdict": "relevant",
        }
    lines = {line["query_id"]: line for line in exported(client)}
    assert lines.keys() == {answer["query_id"] for answer in found.values()}
    composed = lines[found["composed"]["query_id"]]
    assert (composed["rank"], composed["grade"], composed["model"]) == (2, 2, found["composed"]["model"])
    assert composed["comment"] == "<script>alert(1)</script> \u2028"
    assert composed["query"]["more_like"] == [red]
    assert lines[found["image"]["query_id"]]["query"] == {"query": [{"image": None}]}
    assert lines[found["similar"]["query_id"]]["query"] == {"query": [{"id": stand.id("pink.png")}]}


def test_an_image_that_stands_behind_a_hit_is_judged_too(make_stand, tmp_path):
    (tmp_path / "corpus" / "red-again.png").write_bytes(picture(COLOURS["red.png"]))
    client = make_stand().client
    answer = client.get("/v1/search/text?q=red&group=duplicates&limit=2").get_json()
    [behind] = answer["hits"][0]["group"]["hits"]
    assert judge(client, answer["query_id"], behind["id"]).status_code == 200
    assert judge(client, answer["query_id"], answer["hits"][1]["id"]).status_code == 200
    assert sorted((line["rank"], line["id"]) for line in exported(client)) == [(2, answer["hits"][1]["id"]), (3, behind["id"])]


def test_the_last_verdict_counts_and_the_answer_says_which_that_is(client):
    answer = search(client)
    image = answer["hits"][0]["id"]
    for given, counts in (
        ("clicked", "clicked"),
        ("relevant", "relevant"),
        ("clicked", "relevant"),
        ("irrelevant", "irrelevant"),
        ("none", "none"),
    ):
        assert judge(client, answer["query_id"], image, given).get_json()["verdict"] == counts
    assert exported(client) == []


def test_each_query_of_a_batch_is_judged_by_its_own_id(client):
    queries = [{"query": [RED]}, {"query": [{"id": "0" * 32}]}, {"query": [{"text": "blue"}]}]
    results = client.post("/v1/search/batch", json={"queries": queries}).get_json()["results"]
    assert judge(client, results[2]["query_id"], results[2]["found"]["hits"][0]["id"]).status_code == 200
    assert_problem(judge(client, results[1]["query_id"], results[0]["found"]["hits"][0]["id"]), 404, "query-not-found")
    assert [line["query_id"] for line in exported(client)] == [results[2]["query_id"]]


def test_texts_are_kept_only_where_they_are_logged(client, stand):
    sent = {"query": [{"text": "a secret", "weight": 2}, {"vector": [1.0] * 59}, {"image": in_base64()}]}
    sent["filter"] = {"key": "red.png"}
    for kept in (False, True):
        stand.app.config["LOG_QUERIES"] = kept
        answer = client.post("/v1/search", json=sent, headers={"X-Request-ID": f"{kept}"}).get_json()
        judge(client, answer["query_id"], answer["hits"][0]["id"])
    [without, with_texts] = exported(client)
    assert "red.png" not in json.dumps(without)
    digest = hashlib.sha256(b"a secret").hexdigest()[:16]
    others = [{"vector": None}, {"image": None}]
    assert without["query"] == {"query": [{"hash": digest, "weight": 2.0}, *others], "filter": None}
    assert with_texts["query"] == {
        "query": [{"text": "a secret", "weight": 2.0}, *others],
        "filter": {"key": {"eq": "red.png"}},
    }


def in_base64():
    return base64.b64encode(picture()).decode()


QUERY, IMAGE = "4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({}, 400, "invalid-query", "query_id: is missing"),
        ({"query_id": QUERY, "id": IMAGE}, 400, "invalid-query", "verdict: is missing"),
        ({"verdict": "good"}, 400, "invalid-query", "verdict: must be 'relevant', 'irrelevant', 'clicked' or 'none'"),
        ({"verdict": 1}, 400, "invalid-query", "verdict: must be 'relevant'"),
        ({"query_id": None}, 400, "invalid-query", "query_id: must be a text (got null)"),
        ({"query_id": "a b"}, 400, "invalid-query", "query_id: must be the `query_id` of an answer"),
        ({"query_id": "x' OR 1=1 --"}, 400, "invalid-query", "query_id"),
        ({"id": "x' OR 1=1 --"}, 400, "invalid-id", "id: must be 32 lower-case hex digits, as in the hits of a search (got"),
        ({"comment": "x" * 1001}, 400, "invalid-query", "comment: must have at most 1,000 characters"),
        ({"comment": "a\0b"}, 400, "invalid-query", "comment: holds the character NUL"),
        ({"comment": "\ud83d"}, 400, "invalid-query", "comment: holds a lone surrogate"),
        ({"comment": None}, 400, "invalid-query", "comment: must be a text"),
        ({"comments": ""}, 400, "invalid-query", "comments: is not a parameter; the parameters are query_id, id, verdict, comment"),
        ({"comment": "x" * 100_000}, 413, "too-large", "at most 65,536"),
        ({"comment": "x" * 1_000_000}, 413, "too-large", "larger than an image"),
        ({}, 404, "query-not-found", f"no search '{QUERY}' with hits is kept (those of the last 7 days are, 1,000 at most)"),
    ],
)
def test_bad_feedback_is_named(client, body, status, code, says):
    if code != "invalid-query" or "is missing" not in says:
        body = {"query_id": QUERY, "id": IMAGE, "verdict": "relevant", **body}
    assert says in assert_problem(client.post("/v1/feedback", json=body), status, code)["detail"]


def test_an_image_that_was_not_found_is_no_hit(client, stand):
    answer = search(client, limit=2)
    others = {stand.id(key) for key in COLOURS} - {hit["id"] for hit in answer["hits"]}
    response = judge(client, answer["query_id"], others.pop())
    assert "is none of the 2 hits of the search" in assert_problem(response, 400, "not-a-hit")["detail"]
    nothing = search(client, filter={"width": 1})
    assert_problem(judge(client, nothing["query_id"], stand.id("red.png")), 404, "query-not-found")


def test_a_full_disk_fails_no_search_and_feedback_says_so(client, stand):
    first = search(client)
    judge(client, first["query_id"], first["hits"][0]["id"])
    fill_disk(stand.services.database)
    answers = [search(client) for _ in range(600)]
    assert all(answer["hits"] for answer in answers)
    stand.services.judgements.searches.upkeep()
    response = judge(client, answers[-1]["query_id"], answers[-1]["hits"][0]["id"])
    assert_problem(response, 507, "database-full")
    fill_disk(stand.services.database, pages=100_000)
    assert judge(client, answers[-1]["query_id"], answers[-1]["hits"][0]["id"]).status_code == 200


def test_a_flood_of_feedback_is_bounded(stand):
    answer = search(stand.client)
    image = answer["hits"][0]["id"]

    def one(_):
        return judge(stand.app.test_client(), answer["query_id"], image, "clicked").status_code

    with ThreadPoolExecutor(16) as pool:
        codes = set(pool.map(one, range(300)))
    assert codes <= {200, 503}
    assert len(exported(stand.client)) == 1
