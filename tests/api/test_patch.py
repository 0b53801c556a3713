"""Editing the metadata of a stored image over HTTP."""

import json

import numpy as np
import pytest

from tests.api.stand import assert_problem

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def patch(client, stand):
    def send(body, key="red.png", content_type=MERGE_PATCH, **options):
        data = body if isinstance(body, bytes) else json.dumps(body)
        return client.patch(f"/v1/images/{stand.id(key)}", data=data, content_type=content_type, **options)

    return send


@pytest.mark.parametrize("content_type", [MERGE_PATCH, "application/json"])
def test_fields_are_set_and_removed(client, stand, patch, content_type):
    before = client.get(f"/v1/images/{stand.id('red.png')}").get_json()
    vector = stand.services.engine.store.vectors([stand.id("red.png")])[stand.id("red.png")]
    answer = patch({"metadata": {"caption": None, "price": 49.95, "sizes": {"eu": 42}}}, content_type=content_type)
    assert answer.status_code == 200
    assert answer.get_json() == before | {"metadata": {"price": 49.95, "sizes": {"eu": 42}}}
    assert client.get(f"/v1/images/{stand.id('red.png')}").get_json() == answer.get_json()
    np.testing.assert_array_equal(stand.services.engine.store.vectors([stand.id("red.png")])[stand.id("red.png")], vector)
    patch({"metadata": {"sizes": {"us": 9, "eu": None}}})
    hits = client.get("/v1/search/text?q=red&limit=1").get_json()["hits"]
    assert hits[0]["metadata"] == {"price": 49.95, "sizes": {"us": 9}}


def test_several_images_are_changed_at_once_and_what_is_wrong_with_one_stays_with_it(client, stand):
    red, blue = stand.id("red.png"), stand.id("blue.png")
    patches = [
        (red, {"price": 5}),
        ("0" * 32, {"price": 5}),
        (blue, {"a": "x" * 65_536}),
        (blue, {"price": 7, "sizes": {"eu": 42}}),
        (red, {"caption": None, "stock": 1}),
    ]
    answer = client.patch("/v1/images", json={"images": [{"id": id_, "metadata": metadata} for id_, metadata in patches]})
    assert answer.status_code == 200
    results = answer.get_json()["results"]
    assert [(one["id"], one["status"]) for one in results] == list(
        zip([id_ for id_, _ in patches], [200, 404, 400, 200, 200], strict=True)
    )
    assert [one["problem"] and one["problem"]["code"] for one in results] == [None, "not-found", "invalid-metadata", None, None]
    facts = {id_: client.get(f"/v1/images/{id_}").get_json()["metadata"] for id_ in (red, blue)}
    assert facts == {red: {"price": 5, "stock": 1}, blue: {"price": 7, "sizes": {"eu": 42}}}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"images": []}, "invalid-query", "images: "),
        ({"images": [{"id": "0" * 32}]}, "invalid-query", "images[0].metadata: is missing"),
        ({"images": [{"id": "red.png", "metadata": {}}]}, "invalid-id", "images[0].id: must be 32 lower-case hex digits"),
        ({"images": [{"id": "0" * 32, "metadata": {}}] * 1001}, "invalid-query", "images: "),
        ({"metadata": {}}, "invalid-query", "images: is missing"),
    ],
)
def test_what_is_no_list_of_patches_is_refused_as_a_whole(client, body, code, says):
    assert says in assert_problem(client.patch("/v1/images", json=body), 400, code)["detail"]


def test_null_removes_all_of_them(patch):
    assert patch({"metadata": None}).get_json()["metadata"] == {}


def test_an_empty_patch_changes_nothing(patch):
    assert patch({"metadata": {}}).get_json()["metadata"] == {"caption": "<b>red</b>"}


@pytest.mark.parametrize(
    ("body", "answered", "says"),
    [
        ({}, (400, "invalid-query"), "metadata: is missing"),
        ({"metadata": [1]}, (400, "invalid-query"), "metadata: must be an object"),
        ({"metadata": "x"}, (400, "invalid-query"), "metadata: must be an object"),
        ({"metadata": {}, "key": "b.png"}, (400, "invalid-query"), "key: is not a parameter"),
        (b"[]", (400, "invalid-json"), "not an object"),
        (b"{", (400, "invalid-json"), "not valid JSON"),
        (b"", (400, "invalid-json"), "empty"),
        (b'{"metadata": {"a": 1, "a": 2}}', (400, "invalid-query"), "a: was given 2 times"),
        (b'{"metadata": {"a": Infinity}}', (400, "invalid-metadata"), "not plain JSON"),
        (b'{"metadata": {"a": 99999999999999999999}}', (400, "invalid-metadata"), "not plain JSON"),
        (b'{"metadata": {"a": "\\ud83d"}}', (400, "invalid-metadata"), "not plain JSON"),
        ({"metadata": {"$edited": {}}}, (400, "invalid-metadata"), "which is ours"),
        ({"metadata": {"a": "x" * 65_536}}, (400, "invalid-metadata"), "at most 65536 are allowed"),
        ({"metadata": {"a": "x" * 400_000}}, (413, "too-large"), ""),
        (b'{"metadata": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, (400, None), ""),
        (b'{"metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 301, (400, "invalid-metadata"), "nested"),
        (b'{"metadata": {"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}", (413, "too-large"), ""),
    ],
)
def test_what_is_no_patch_is_refused_and_changes_nothing(client, stand, patch, body, answered, says):  # noqa: PLR0913, PLR0917 - fixtures and a case
    answer, (status, code) = patch(body), answered
    assert says in assert_problem(answer, status, code or answer.get_json()["code"])["detail"]
    assert client.get(f"/v1/images/{stand.id('red.png')}").get_json()["metadata"] == {"caption": "<b>red</b>"}


def test_other_content_types_are_named(patch):
    problem = assert_problem(patch({"metadata": {}}, content_type="text/plain"), 415, "unsupported-media-type")
    assert problem["detail"] == "the body is text/plain; send application/json or application/merge-patch+json"


def test_an_image_that_is_not_there(client, patch):
    assert_problem(patch({"metadata": {}}, key="not there"), 404, "not-found")
    assert_problem(client.patch("/v1/images/x", json={"metadata": {}}), 400, "invalid-id")


def test_an_edit_is_kept_by_its_deadline(patch):
    assert_problem(patch({"metadata": {}}, headers={"X-Request-Timeout": "1e-9"}), 504, "deadline-exceeded")
