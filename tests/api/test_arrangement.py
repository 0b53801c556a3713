"""Groups, diversity and facets as requests ask for them, on every route of searches."""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from ml_api.api.schemas.arrangement import MAX_GROUPED
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.records import image_id
from tests.api.stand import assert_problem, build_stand, picture, write_corpus
from tests.contracts.samples import record

COPIES = MAX_GROUPED + 3
FIELDS = "the fields are brand, maker.city, tags, caption"


def images():
    """Copies of one file, and others beside them."""
    metadata = {"brand": "acme", "tags": ["old", "red"], "maker": {"city": "Rome"}}
    copies = [record(f"copy {number:02}", digest="c" * 64, metadata=metadata) for number in range(COPIES)]
    others = [record(f"other {number}", digest=f"{number}" * 64, metadata={"brand": "bolt"}) for number in range(3)]
    return [*copies, *others]


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """One for all tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("arrangement")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails")
    [red] = FakeEncoder().embed([FakePreprocessor().prepare_text("red")])
    records, away = images(), np.roll(red, 1)
    mixed = np.stack([red + share * away for share in np.linspace(0, 0.2, len(records))])
    stand.services.engine.store.upsert(records, (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32))
    yield stand
    stand.services.close()


@pytest.fixture
def client(stand):
    return stand.client


def answer(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def every_route(client, **wanted):
    """The answers of all routes to searches for what is red. Lists are separated by commas in query strings."""
    in_url = {name: ",".join(value) if isinstance(value, list) else value for name, value in wanted.items()}
    terms = {"query": [{"text": "red"}], **wanted}
    yield answer(client.get("/v1/search/text", query_string={"q": "red", **in_url}))
    yield answer(client.post("/v1/search/text", json={"q": "red", **wanted}))
    yield answer(client.post("/v1/search", json=terms))
    yield answer(client.post("/v1/search/batch", json={"queries": [terms]}))["results"][0]["found"]
    yield answer(client.post("/v1/search/image", query_string=in_url, data=picture((255, 0, 0)), content_type="image/png"))
    yield answer(client.get(f"/v1/images/{image_id('red.png')}/similar", query_string=in_url))


def search(client, **wanted):
    return answer(client.post("/v1/search/text", json={"q": "red", **wanted}))


def test_copies_stand_behind_the_best_of_them_on_every_route(client):
    for found in every_route(client, group="duplicates", limit=6):
        hits = found["hits"]
        assert len(hits) == 6
        assert sum(hit["key"].startswith("copy") for hit in hits) == 1
        [group] = [hit["group"] for hit in hits if hit["group"]]
        assert group["size"] == COPIES
        assert len(group["hits"]) == MAX_GROUPED


def test_what_stands_behind_a_hit_is_shown_with_its_links(client):
    [best, *_] = search(client, group="duplicates")["hits"]
    [first, *_] = best["group"]["hits"]
    assert set(first) == {"id", "key", "width", "height", "score", "links"}
    assert (best["key"], first["key"]) == ("copy 00", "copy 01")
    assert client.get(first["links"]["self"]).get_json()["key"] == "copy 01"


def test_nothing_is_grouped_unless_it_is_asked_for(client):
    plain, grouped = search(client, limit=30), search(client, limit=30, group="duplicates")
    assert all(hit["group"] is None for hit in plain["hits"])
    assert len(plain["hits"]) == len(grouped["hits"]) + COPIES - 1
    alone = [hit for hit in grouped["hits"] if hit["group"] is None]
    assert alone == [hit for hit in plain["hits"] if not hit["key"].startswith("copy")]


def test_pages_of_groups_are_counted_in_groups(client):
    whole = [hit["key"] for hit in search(client, limit=30, group="duplicates")["hits"]]
    first = search(client, limit=3, group="duplicates")
    assert first["next"] == 3
    for wanted in ({"offset": 3}, {"cursor": first["next_cursor"]}):
        later = search(client, limit=30, group="duplicates", **wanted)
        assert [hit["key"] for hit in (*first["hits"], *later["hits"])] == whole
        assert (later["next"], later["next_cursor"]) == (None, None)
    assert_problem(client.get(f"/v1/search/text?q=red&cursor={first['next_cursor']}"), 400, "invalid-cursor")


def test_images_of_one_value_are_a_group(client):
    hits = {hit["key"]: hit["group"] for hit in search(client, limit=30, group="brand")["hits"]}
    assert hits["copy 00"]["size"] == COPIES
    assert [one["key"] for one in hits["other 0"]["hits"]] == ["other 1", "other 2"]
    assert len(hits) == 6  # images without the field are alone
    assert search(client, limit=30, group="maker.city")["hits"][0]["group"]["size"] == COPIES


def test_values_are_counted_on_every_route(client):
    for found in every_route(client, facets=["brand", "tags"]):
        assert found["facets"]["over"] in {COPIES + 7, COPIES + 6}
        assert found["facets"]["fields"] == {
            "brand": [{"value": "acme", "count": COPIES}, {"value": "bolt", "count": 3}],
            "tags": [{"value": "old", "count": COPIES}, {"value": "red", "count": COPIES}],
        }
    assert search(client)["facets"] is None


def test_facets_count_what_the_filter_lets_through_and_may_have_no_values(client):
    wanted = {"brand": {"eq": "bolt"}}
    assert search(client, facets=["brand", "tags"], filter=wanted)["facets"] == {
        "over": 3,
        "fields": {"brand": [{"value": "bolt", "count": 3}], "tags": []},
        "numbers": {},
    }


def test_numbers_have_ranges_whose_bounds_are_those_of_a_filter(client):
    numbers = search(client, facets=["width", "brand"])["facets"]["numbers"]
    assert list(numbers) == ["width"]
    assert numbers["width"]["least"] < numbers["width"]["most"]
    for wanted in numbers["width"]["ranges"]:
        bounds = {name: wanted[name] for name in ("gte", "lt") if wanted[name] is not None}
        assert len(search(client, limit=50, filter={"width": bounds})["hits"]) == wanted["count"]


def test_hits_are_sorted_by_a_field_on_every_route(client):
    for found in every_route(client, sort="-brand", limit=30):
        brands = [hit["metadata"].get("brand", "") for hit in found["hits"]]
        assert brands == sorted(brands, reverse=True)
        assert brands[0] == "bolt"


def test_diversity_reorders_on_every_route(client):
    plain = [hit["key"] for hit in search(client, limit=30)["hits"]]
    for found in every_route(client, diversity=0.9, limit=30):
        keys = [hit["key"] for hit in found["hits"]]
        assert set(keys) <= set(plain)
        assert not all(key.startswith(("copy", "red")) for key in keys[:5])


def test_a_form_takes_them_beside_the_image(client):
    data = {"image": (BytesIO(picture((255, 0, 0))), "red.png"), "group": "duplicates", "facets": "brand"}
    found = answer(client.post("/v1/search/image", data=data))
    assert found["facets"]["fields"]["brand"][0] == {"value": "bolt", "count": 3}


def test_spaces_may_stand_between_the_names_of_facets(client):
    found = answer(client.get("/v1/search/text", query_string={"q": "red", "facets": "width, brand ,height"}))
    assert list(found["facets"]["fields"]) == ["width", "brand", "height"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"group": ""}, "group: is empty; name a field of the metadata, width or height"),
        ({"group": "a..b"}, "group: a name leads through objects by single dots"),
        ({"group": "key"}, "group: key is another one for each image; name a field of the metadata, width or height"),
        ({"group": "bradn"}, f"group: no image is known to have the field 'bradn'; {FIELDS}"),
        ({"group": "x" * 5000}, "group: has 5,000 characters; at most 4,096 are allowed"),
        ({"facets": ["brand", "bradn"]}, f"facets[1]: no image is known to have the field 'bradn'; {FIELDS}"),
        ({"facets": ["brand", "brand"]}, "facets[1]: brand was given before; give it once"),
        ({"facets": ["brand", "/brand"]}, "facets[1]: /brand was given before; give it once"),
        ({"facets": ["", ""]}, "facets[0]: is empty; name a field of the metadata, width or height"),
        ({"facets": ["indexed_at"]}, "facets[0]: indexed_at is another one for each image"),
        ({"facets": [""]}, "facets[0]: is empty; name a field"),
        ({"facets": [f"f{number}" for number in range(11)]}, "facets: names 11 fields; at most 10 are counted"),
        ({"sort": ""}, "sort: names no field; name one as in filters, such as price, or -price to descend"),
        ({"sort": "-"}, "sort: names no field"),
        ({"sort": "-bradn"}, f"sort: no image is known to have the field 'bradn'; {FIELDS}"),
        ({"sort": "a..b"}, "sort: a name leads through objects by single dots"),
        ({"sort": "brand", "diversity": 0.5}, "sort: cannot be combined with diversity"),
        ({"diversity": 1.5}, "diversity: must be a number from 0 to 1 (got 1.5)"),
        ({"diversity": -0.1}, "diversity: must be a number from 0 to 1 (got -0.1)"),
    ],
)
def test_bad_input_is_named(client, wanted, says):
    in_url = {name: ",".join(value) if isinstance(value, list) else value for name, value in wanted.items()}
    of_text = assert_problem(client.post("/v1/search/text", json={"q": "red", **wanted}), 400, "invalid-query")
    of_url = assert_problem(client.get("/v1/search/text", query_string={"q": "red", **in_url}), 400, "invalid-query")
    assert says in of_text["detail"]
    assert says.partition(" (got")[0] in of_url["detail"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"group": 3}, "group: must be a text (got 3)"),
        ({"group": ["brand"]}, "group: must be a text"),
        ({"facets": "brand"}, "facets: must be an array"),
        ({"facets": [3]}, "facets[0]: must be a text (got 3)"),
        ({"diversity": "0.5"}, "diversity: must be a number from 0 to 1 (got '0.5')"),
        ({"diversity": True}, "diversity: must be a number from 0 to 1 (got true)"),
        ({"group": "\ud800"}, "group: holds a lone surrogate"),
    ],
)
def test_values_of_the_wrong_type_are_named(client, wanted, says):
    data = json.dumps({"query": [{"text": "red"}], **wanted})
    problem = assert_problem(client.post("/v1/search", data=data, content_type="application/json"), 400, "invalid-query")
    assert says in problem["detail"]


def test_what_is_wrong_with_one_query_of_a_batch_spoils_that_one_only(client):
    queries = [{"query": [{"text": "red"}], **wanted} for wanted in ({"group": "bradn"}, {"facets": ["brand"]})]
    wrong, right = answer(client.post("/v1/search/batch", json={"queries": queries}))["results"]
    assert wrong["problem"]["detail"].startswith("queries[0].group: no image is known to have the field 'bradn'")
    assert right["found"]["facets"]["fields"]["brand"]


def test_an_empty_index_has_no_unknown_fields(tmp_path):
    (tmp_path / "corpus").mkdir()
    stand = build_stand(tmp_path / "corpus", tmp_path / "thumbnails")
    found = search(stand.client, group="brand", facets=["brand"], diversity=1)
    stand.services.close()
    assert (found["hits"], found["facets"]) == ([], {"over": 0, "fields": {"brand": []}, "numbers": {}})


def test_a_field_called_duplicates_is_named_by_a_pointer(client, stand):
    before = stand.services.engine.store.get([image_id("other 0")])[image_id("other 0")]
    vector = stand.services.engine.store.vectors([before.id])[before.id][None]
    stand.services.engine.store.upsert([replace(before, metadata={"brand": "bolt", "duplicates": "x"})], vector)
    assert all(hit["group"] is None for hit in search(client, group="/duplicates")["hits"])
    stand.services.engine.store.upsert([before], vector)
