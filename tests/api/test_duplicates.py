"""`GET /v1/duplicates`: what it answers over a small corpus, and to bad parameters."""

import pytest

from ml_api.api import examples
from ml_api.api.schemas.duplicates import DuplicatesAnswer
from tests.api.stand import assert_problem, drawing
from tests.api.test_examples import shape


@pytest.fixture
def doubled(make_stand, tmp_path):
    """The corpus with a copy of a picture and one saved anew."""
    root = tmp_path / "corpus"
    (root / "copies").mkdir(parents=True)
    (root / "drawn.png").write_bytes(drawing())
    (root / "copies/drawn.png").write_bytes(drawing())
    (root / "copies/drawn.webp").write_bytes(drawing(kind="WEBP"))
    return make_stand()


def pages(client, query=""):
    found, cursor = [], ""
    while True:
        body = client.get(f"/v1/duplicates?{query}{cursor}").get_json()
        found.append(body)
        if body["next"] is None:
            return found
        cursor = f"&cursor={body['next']}"


def test_copies_and_pictures_saved_anew_are_told_apart(doubled):
    [page] = pages(doubled.client)
    groups = {group["kind"]: group for group in page["groups"]}
    exact = groups["exact"]
    assert {exact["image"]["key"], *(image["key"] for image in exact["duplicates"])} == {"drawn.png", "copies/drawn.png"}
    [copy] = exact["duplicates"]
    assert copy["digest"] == exact["image"]["digest"]
    assert copy["similarity"] == 1
    near = groups["near"]
    keys = {near["image"]["key"], *(image["key"] for image in near["duplicates"])}
    assert "copies/drawn.webp" in keys
    assert len(keys & {"drawn.png", "copies/drawn.png"}) == 1
    assert near["duplicates"][0]["bits"] <= 8
    assert (page["compared"], page["without_hash"]) == (7, 0)
    for group in page["groups"]:
        for image in (group["image"], *group["duplicates"]):
            assert image["size_bytes"] == len(drawing(kind="WEBP" if image["key"].endswith("webp") else "PNG"))
            assert doubled.client.get(image["links"]["thumbnail"]).status_code == 200


def test_the_example_in_the_documentation_has_the_form_of_an_answer(doubled):
    [page] = pages(doubled.client)
    near = [group for group in page["groups"] if group["kind"] == "near"]
    example = examples.ANSWERS[DuplicatesAnswer]
    assert shape(example | {"next": None}) == shape(page | {"groups": near})


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_together_say_what_one_page_says(doubled, limit):
    [whole] = pages(doubled.client)
    parts = pages(doubled.client, f"limit={limit}")
    assert len(parts) > 1
    assert all(part["compared"] <= limit for part in parts)
    assert [group for part in parts for group in part["groups"]] == whole["groups"]


def test_thresholds_decide(doubled):
    [page] = pages(doubled.client, "similarity=-1&near_bits=0&near_similarity=1")
    assert "similar" in {group["kind"] for group in page["groups"]}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit: must be a whole number from 1 to 1,000 (got '0')"),
        ("near_bits=64", "near_bits: must be a whole number from 0 to 63 (got '64')"),
        ("similarity=nan", "similarity: must be a number from -1 to 1 (got 'nan')"),
        ("cursor=x", "cursor: must be the `next` of an answer before"),
        ("kind=exact", "kind: is not a parameter; the parameters are cursor, limit, near_bits, near_similarity, similarity"),
    ],
)
def test_bad_parameters_are_named(client, query, says):
    assert says in assert_problem(client.get(f"/v1/duplicates?{query}"), 400, "invalid-query")["detail"]
