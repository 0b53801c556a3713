"""Searches by words beside vectors: names, product numbers and rare words are found, whatever the picture looks like."""

import io

import pytest
from PIL import Image

from ml_api.records import image_id
from tests.api.stand import assert_problem, build_stand

KEYS = [f"photos/IMG_{number:04d}.png" for number in range(40)]


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 6 % 256, 250 - number * 6, number * 3 % 256)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    root = tmp_path_factory.mktemp("hybrid") / "corpus"
    for number, key in enumerate(KEYS):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(picture(number))
    (root / "DSC_0412.png").write_bytes(picture(41))
    (root / "metadata.jsonl").write_text(
        f'{{"key": "{KEYS[3]}", "caption": "the Bodleian Library", "price": 5}}\n{{"key": "{KEYS[4]}", "sku": "SKU-4711-B"}}\n'
    )
    stand = build_stand(root, root.with_name("thumbnails"), words=True)
    yield stand
    stand.services.close()


def hits(stand, q, **more):
    answer = stand.client.post("/v1/search/text", json={"q": q, **more})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()["hits"]


@pytest.mark.parametrize(
    ("q", "key", "matched"),
    [
        ("DSC_0412", "DSC_0412.png", ["key"]),
        ("dsc_0412.png", "DSC_0412.png", ["key"]),
        ("DSC0412", "DSC_0412.png", ["key"]),
        ("show me a photo of 4711", KEYS[4], ["sku"]),
        ("SKU-4711-B", KEYS[4], ["sku"]),
        ("bodleian", KEYS[3], ["caption"]),
    ],
)
def test_who_is_named_comes_first(stand, q, key, matched):
    first, *others = hits(stand, q)
    assert (first["key"], first["matched"]) == (key, matched)
    assert all(hit["matched"] is None for hit in others)
    assert len(others) == 9


def test_by_vectors_alone_nothing_is_matched(stand):
    assert all(hit["matched"] is None for hit in hits(stand, "DSC_0412", match="vector"))


def test_names_that_are_noise_change_nothing(stand):
    for q in ("red", "img photos png", "a red photo"):
        assert hits(stand, q) == hits(stand, q, match="vector")


def test_by_text_alone_only_images_with_all_words_are_found(stand):
    assert [hit["key"] for hit in hits(stand, "bodleian library", match="text")] == [KEYS[3]]
    assert hits(stand, "bodleian zebra", match="text") == []
    assert hits(stand, "!?", match="text") == []
    assert len(hits(stand, "img", match="text", limit=100)) == len(KEYS)


def test_pages_show_every_image_once_and_the_named_one_first(stand):
    by_offset = [hit["key"] for offset in range(0, 45, 15) for hit in hits(stand, "DSC_0412", limit=15, offset=offset)]
    body = {"q": "DSC_0412", "limit": 15}
    by_cursor = []
    while True:
        answer = stand.client.post("/v1/search/text", json=body).get_json()
        by_cursor += [hit["key"] for hit in answer["hits"]]
        if answer["next_cursor"] is None:
            break
        body["cursor"] = answer["next_cursor"]
    assert by_offset == by_cursor == [hit["key"] for hit in hits(stand, "DSC_0412", limit=100)]
    assert sorted(by_cursor) == sorted([*KEYS, "DSC_0412.png"])
    assert by_cursor[0] == "DSC_0412.png"


def test_a_cursor_is_bound_to_how_was_matched(stand):
    cursor = stand.client.post("/v1/search/text", json={"q": "red", "limit": 1}).get_json()["next_cursor"]
    answer = stand.client.post("/v1/search/text", json={"q": "red", "match": "vector", "limit": 1, "cursor": cursor})
    assert_problem(answer, 400, "invalid-cursor")


def test_filters_and_thresholds_hold_for_what_words_find(stand):
    assert [hit["key"] for hit in hits(stand, "bodleian", filter={"price": {"gt": 4}})] == [KEYS[3]]
    assert KEYS[3] not in {hit["key"] for hit in hits(stand, "bodleian", filter={"price": {"exists": False}})}
    assert hits(stand, "bodleian", min_score=1) == []


def test_groups_hold_for_what_words_find(stand):
    first, *_ = hits(stand, "DSC_0412", group="duplicates")
    assert (first["key"], first["matched"]) == ("DSC_0412.png", ["key"])


def test_terms_that_are_not_wanted_look_for_no_words(stand):
    body = {"query": [{"text": "red"}, {"text": "DSC_0412", "weight": -0.5}]}
    answer = stand.client.post("/v1/search", json=body).get_json()
    assert all(hit["matched"] is None for hit in answer["hits"])
    only = stand.client.post("/v1/search", json={"query": [{"text": "red", "weight": -1}], "match": "text"})
    assert "match: is text" in assert_problem(only, 400, "invalid-query")["detail"]


def test_words_are_those_of_now(stand):
    path = f"/v1/images/{image_id(KEYS[7])}"
    assert stand.client.patch(path, json={"metadata": {"caption": "zanzibar"}}).status_code == 200
    assert hits(stand, "zanzibar")[0]["matched"] == ["caption"]
    assert stand.client.patch(path, json={"metadata": None}).status_code == 200
    assert all(hit["matched"] is None for hit in hits(stand, "zanzibar"))
