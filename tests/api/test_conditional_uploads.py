"""Uploads and deletions on the condition of what is there (RFC 9110, 13.1): nothing is replaced that the client has not seen."""

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.api.stand import assert_problem, build_stand, picture, write_corpus

BY_KEY = "/v1/images/by-key/"
ONE, OTHER, THIRD = (picture((number, 60, 60)) for number in (10, 20, 30))
NEW = {"If-None-Match": "*"}


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """One application for all tests: each has keys of its own."""
    folder = tmp_path_factory.mktemp("conditional")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails")
    yield stand
    stand.services.close()


def put(stand, key, data, **headers):
    return stand.client.put(f"{BY_KEY}{key}", data=data, headers={name.replace("_", "-"): value for name, value in headers.items()})


def put_new(stand, key, data):
    return stand.client.put(f"{BY_KEY}{key}", data=data, headers=NEW)


def etag_of(stand, key):
    return stand.client.head(f"/v1/images/{stand.id(key)}/content").headers["ETag"]


UNREADABLE = ['"*"', "", '"zz", *', '*, "zz"', "W/*", "**", '*"', "*;", '"', "W/", "zz", '""', '"a" "b"']


@pytest.mark.parametrize("name", ["If-None-Match", "If-Match"])
@pytest.mark.parametrize("sent", UNREADABLE)
def test_a_condition_that_cannot_be_read_is_refused_and_nothing_replaced(stand, name, sent):
    put(stand, "unreadable/a.png", ONE)
    etag = etag_of(stand, "unreadable/a.png")
    for refused in (
        stand.client.put(f"{BY_KEY}unreadable/a.png", data=OTHER, headers={name: sent}),
        stand.client.delete(f"/v1/images/{stand.id('unreadable/a.png')}", headers={name: sent}),
    ):
        assert assert_problem(refused, 400, "invalid-query")["detail"].startswith(f"{name}: must be * or ETags")
    assert etag_of(stand, "unreadable/a.png") == etag


def test_a_condition_that_is_sent_twice_is_one(stand):
    put(stand, "twice/a.png", ONE)
    assert_problem(put(stand, "twice/a.png", OTHER, If_None_Match="*, *"), 412, "precondition-failed")


def test_a_new_image_takes_no_place_of_another(stand):
    first = put_new(stand, "new/a.png", ONE)
    assert first.status_code == 200
    refused = put_new(stand, "new/a.png", OTHER)
    assert_problem(refused, 412, "precondition-failed")
    assert refused.headers["ETag"] == first.headers["ETag"]
    assert (
        f"'new/a.png' is there already; to change what is there now send If-Match: {first.headers['ETag']}"
        in refused.get_json()["detail"]
    )
    assert (stand.root / "new/a.png").read_bytes() == ONE


def test_the_same_bytes_under_the_same_key_are_told_to_be_there_already(stand):
    put_new(stand, "same.png", ONE)
    again = put_new(stand, "same.png", ONE)
    assert_problem(again, 412, "already-there")
    assert again.headers["ETag"] == etag_of(stand, "same.png")


def test_the_etag_of_an_upload_is_that_of_the_content(stand):
    uploaded = put(stand, "tagged.png?wait=5", ONE)
    assert uploaded.headers["ETag"] == f'"{uploaded.get_json()["digest"]}"'
    assert uploaded.headers["ETag"] == etag_of(stand, "tagged.png")


def test_only_the_version_that_was_seen_is_replaced(stand):
    seen = put(stand, "seen.png", ONE).headers["ETag"]
    now = put(stand, "seen.png", OTHER, If_Match=seen).headers["ETag"]
    refused = put(stand, "seen.png", THIRD, If_Match=seen)
    assert_problem(refused, 412, "precondition-failed")
    assert f"another version than If-Match says; to change what is there now send If-Match: {now}" in refused.get_json()["detail"]
    assert (stand.root / "seen.png").read_bytes() == OTHER
    assert put(stand, "seen.png", THIRD, If_Match=f'"0", {now}').status_code == 200


def test_any_version_is_replaced_but_nothing_added(stand):
    missing = put(stand, "any.png", ONE, If_Match="*")
    assert_problem(missing, 412, "precondition-failed")
    assert "holds no file 'any.png'" in missing.get_json()["detail"]
    assert "ETag" not in missing.headers
    assert not (stand.root / "any.png").exists()
    put(stand, "any.png", ONE)
    assert put(stand, "any.png", OTHER, If_Match="*").status_code == 200


def test_a_weak_tag_names_no_version_that_is_to_be_there(stand):
    etag = put(stand, "strong.png", ONE).headers["ETag"]
    assert_problem(put(stand, "strong.png", OTHER, If_Match=f"W/{etag}"), 412, "precondition-failed")


def test_a_version_that_is_not_to_be_there_keeps_its_place(stand):
    etag = put(stand, "none.png", ONE).headers["ETag"]
    assert_problem(put(stand, "none.png", OTHER, If_None_Match=f"W/{etag}"), 412, "precondition-failed")
    assert put(stand, "none.png", OTHER, If_None_Match=etag.replace("a", "b").replace("0", "1")).status_code == 200


def test_the_file_counts_and_not_what_is_indexed_of_it(stand):
    put(stand, "outside.png?wait=5", ONE)
    (stand.root / "outside.png").write_bytes(OTHER)
    assert_problem(
        put(stand, "outside.png", THIRD, If_Match=etag_of(stand, "outside.png").replace("a", "b")), 412, "precondition-failed"
    )
    assert put(stand, "outside.png", THIRD, If_Match=etag_of(stand, "outside.png")).status_code == 200


def test_an_upload_that_waits_to_be_indexed_keeps_its_place(unconsumed):
    assert put_new(unconsumed, "queued.png", ONE).status_code == 202
    assert_problem(put_new(unconsumed, "queued.png", OTHER), 412, "precondition-failed")
    assert_problem(put_new(unconsumed, "queued.png", ONE), 412, "already-there")
    assert (unconsumed.root / "queued.png").read_bytes() == ONE


@pytest.mark.parametrize("condition", ["new", "seen"])
def test_of_many_at_once_one_alone_is_written(unconsumed, condition):
    headers = NEW
    if condition == "seen":
        headers = {"If-Match": put(unconsumed, "race.png", THIRD).headers["ETag"]}
    bodies = [picture((number, 1, 1)) for number in range(8)]
    start = Barrier(len(bodies))

    def send(body):
        with unconsumed.app.test_client() as client:
            start.wait(30)
            return client.put(f"{BY_KEY}race.png", data=body, headers=headers).status_code

    with ThreadPoolExecutor(len(bodies)) as threads:
        statuses = list(threads.map(send, bodies))
    assert sorted(statuses) == [202] + [412] * (len(bodies) - 1)
    assert (unconsumed.root / "race.png").read_bytes() == bodies[statuses.index(202)]


def test_only_the_version_that_was_seen_is_deleted(stand):
    seen = put(stand, "gone.png?wait=5", ONE).headers["ETag"]
    put(stand, "gone.png?wait=5", OTHER)
    image = f"/v1/images/{stand.id('gone.png')}"
    assert_problem(stand.client.delete(image, headers={"If-Match": seen}), 412, "precondition-failed")
    assert (stand.root / "gone.png").read_bytes() == OTHER
    assert stand.client.delete(image, headers={"If-Match": etag_of(stand, "gone.png")}).status_code in {200, 202}
    assert not (stand.root / "gone.png").exists()


def test_a_form_takes_no_place_of_another_if_it_may_not(stand):
    put(stand, "form/a.png", ONE)
    files = [(io.BytesIO(OTHER), "form/a.png"), (io.BytesIO(THIRD), "form/b.png")]
    results = stand.client.post("/v1/images?overwrite=false&wait=5", data={"image": files}).get_json()["results"]
    assert [result["status"] for result in results] == [412, 200]
    assert results[0]["problem"]["code"] == "precondition-failed"
    assert (stand.root / "form/a.png").read_bytes() == ONE
    again = stand.client.post("/v1/images?overwrite=true", data={"image": [(io.BytesIO(OTHER), "form/a.png")]})
    assert again.get_json()["results"][0]["status"] in {200, 202}
    assert (stand.root / "form/a.png").read_bytes() == OTHER
