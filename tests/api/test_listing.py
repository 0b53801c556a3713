"""The listing of stored images: every one once, page by page, by the beginning of their keys."""

import unicodedata

import numpy as np
import pytest

from ml_api.api.listing import SCANNED
from ml_api.app import create_app
from ml_api.records import image_id
from ml_api.settings import load_settings
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import COLOURS, assert_problem
from tests.contracts.samples import record


def pages(client, **parameters):
    """The pages' images, to the end; `cursor` may name where to begin."""
    while True:
        answer = client.get("/v1/images", query_string=parameters).get_json()
        yield answer["images"]
        if answer["next"] is None:
            return
        parameters["cursor"] = answer["next"]


def keys(client, **parameters):
    return [image["key"] for page in pages(client, **parameters) for image in page]


def store(stand, *names):
    vectors = np.tile(np.eye(1, stand.services.engine.embedder.model.dim, dtype=np.float32), (len(names), 1))
    stand.services.engine.store.upsert([record(name) for name in names], vectors)


class Listed(MemoryStore):
    """Counts how often all of its entries are asked for."""

    listings = 0

    def entries(self, *bounds):
        self.listings += 1
        return super().entries(*bounds)


def test_the_application_lists_no_collection_for_the_example_of_its_document(make_stand):
    """It read a page of 5,000 at each start."""
    store = Listed()
    services = make_stand(store=store).services
    before = store.listings
    create_app(load_settings({}), services)
    assert store.listings == before


def test_every_image_is_listed_once_in_the_order_of_ids(client):
    assert keys(client) == sorted(COLOURS, key=image_id)
    assert keys(client, limit=1) == keys(client)


def test_an_image_is_listed_as_it_is_looked_up(client):
    for image in client.get("/v1/images").get_json()["images"]:
        assert image == client.get(image["links"]["self"]).get_json()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_the_last_page_says_that_it_is(client, limit):
    sizes = [len(page) for page in pages(client, limit=limit)]
    assert sizes == [limit] * (4 // limit) + [4 % limit] * (4 % limit > 0)


def test_images_that_stay_come_once_whatever_else_comes_and_goes(stand):
    seen = []
    for number, page in enumerate(pages(stand.client, limit=1)):
        seen += [image["key"] for image in page]
        store(stand, f"new {number}")
        stand.services.engine.store.delete([image_id(f"new {number - 1}")])
        assert number < 100
    assert len(seen) == len(set(seen))
    assert set(COLOURS) <= set(seen)


def test_keys_that_begin_with_a_prefix_are_listed(stand):
    store(stand, "sub", "sub/deep/a.png", "submarine.png", "%", "sub%/b.png", "' or 1 == 1", "sub\\c.png")
    assert set(keys(stand.client, prefix="sub/")) == {"sub/green.png", "sub/deep/a.png"}
    assert len(keys(stand.client, prefix="sub", limit=2)) == 6
    for odd in ("%", "' or 1 == 1", "sub\\"):
        assert len(keys(stand.client, prefix=odd)) == 1
    assert keys(stand.client, prefix="nothing begins so") == []


def test_a_prefix_finds_keys_in_either_form_of_unicode(stand):
    both = [unicodedata.normalize(form, f"café/{form}.png") for form in ("NFC", "NFD")]
    store(stand, *both)
    for form in ("NFC", "NFD"):
        assert set(keys(stand.client, prefix=unicodedata.normalize(form, "café/"))) == set(both)


def test_the_search_for_a_rare_prefix_ends_and_continues(stand):
    store(stand, *(f"many/{number}" for number in range(SCANNED)), "rare/one.png")
    found = list(pages(stand.client, prefix="rare/"))
    assert len(found) == 2
    assert [image["key"] for page in found for image in page] == ["rare/one.png"]


class Counted(MemoryStore):
    """Counts the entries that its pages are asked for."""

    asked = 0

    def page(self, after, limit, *how, **also):
        self.asked += limit
        return super().page(after, limit, *how, **also)


@pytest.mark.parametrize("limit", [1, 2, 50, 1000])
def test_a_frequent_prefix_is_found_among_few_entries_and_each_image_once(make_stand, limit):
    counted = Counted()
    stand = make_stand(store=counted)
    names = [f"half/{number}" for number in range(1000)]
    store(stand, *names, *(f"other/{number}" for number in range(1000)))
    assert len(next(pages(stand.client, prefix="half/", limit=limit))) == limit
    assert counted.asked < 20 * limit
    if limit > 2:
        assert sorted(keys(stand.client, prefix="half/", limit=limit)) == sorted(names)


def test_keys_may_be_as_long_as_a_path(stand):
    long = "x" * 4090 + ".png"
    store(stand, long)
    assert keys(stand.client, prefix="x" * 4000) == [long]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit: must be a whole number from 1 to 1,000"),
        ("limit=1001", "limit: must be a whole number from 1 to 1,000"),
        ("cursor=", "cursor: must be the `next` of an answer before"),
        ("cursor=1", "cursor: must be the `next` of an answer before"),
        ("cursor=" + "A" * 32, "cursor: must be the `next` of an answer before"),
        ("prefix=" + "x" * 4097, "prefix: must have at most 4,096 characters"),
        ("after=1", "after: is not a parameter; the parameters are count, cursor, filter, limit, prefix"),
        ("prefix=dogs/&count=true", "count: does not go with prefix"),
    ],
)
def test_a_bad_listing(client, query, says):
    assert says in assert_problem(client.get(f"/v1/images?{query}"), 400, "invalid-query")["detail"]


def test_a_closed_store_lists_nothing(stand):
    stand.services.engine.store.close()
    assert_problem(stand.client.get("/v1/images"), 503, "store-unavailable")


def test_all_that_pass_a_filter_are_counted_on_request(client):
    red = '{"key": {"prefix": "red"}}'
    assert client.get("/v1/images?limit=1").json["count"] is None
    assert client.get("/v1/images?limit=1&count=true").json["count"] == len(COLOURS)
    assert client.get("/v1/images", query_string={"filter": red, "count": "true"}).json["count"] == 1
