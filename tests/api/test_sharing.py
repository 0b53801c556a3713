"""Pages of other origins: those that are listed may use the API, with a key of their own; all others nothing, as before."""

from dataclasses import replace

import pytest

from ml_api.access import Access, Scope
from ml_api.access.keys import create
from ml_api.app import create_app
from ml_api.browsers import origins
from ml_api.settings import load_settings
from tests.api.stand import assert_problem, picture

SHOP, OTHER = "https://shop.example.org", "https://evil.example"
FROM_PAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
CORS = "Access-Control-"


def app_of(stand, **parts):
    settings = load_settings({"ML_API_CORS_ORIGINS": f"{SHOP}, http://localhost:3000"})
    return create_app(settings, replace(stand.services, **parts))


@pytest.fixture(scope="module")
def sharing(shared_stand):
    return app_of(shared_stand).test_client()


def shared(response):
    return {name: value for name, value in response.headers.items() if name.startswith(CORS)}


def preflight(client, path, origin, method="POST"):
    asked = {"Origin": origin, f"{CORS}Request-Method": method, f"{CORS}Request-Headers": "content-type,x-api-key"}
    return client.options(path, headers=asked | FROM_PAGE)


@pytest.mark.parametrize("path", ["/v1/search/text?q=red", "/v1/images", "/v1/search/text", "/nowhere", f"/v1/images/{'0' * 32}"])
def test_a_listed_page_reads_answers_and_errors(sharing, path):
    response = sharing.get(path, headers={"Origin": SHOP} | FROM_PAGE)
    assert response.headers[f"{CORS}Allow-Origin"] == SHOP
    assert "Retry-After" in response.headers[f"{CORS}Expose-Headers"]
    assert f"{CORS}Allow-Credentials" not in response.headers
    assert "Origin" in response.vary


def test_a_listed_page_shows_pictures_that_it_fetches_as_its_own(sharing):
    """`<img crossorigin>` sends the origin; `Cross-Origin-Resource-Policy` blocks `<img>` without it alone."""
    [image, *_] = sharing.get("/v1/images").get_json()["images"]
    for link in ("thumbnail", "content"):
        with sharing.get(image["links"][link], headers={"Origin": SHOP} | FROM_PAGE) as response:
            assert (response.status_code, response.headers[f"{CORS}Allow-Origin"]) == (200, SHOP)


@pytest.mark.parametrize("origin", [OTHER, "null", SHOP + ".evil.example", SHOP + ":8443", "http://shop.example.org", ""])
def test_all_others_read_nothing(sharing, origin):
    response = sharing.get("/v1/images", headers={"Origin": origin} | FROM_PAGE)
    assert shared(response) == {}
    assert "Origin" in response.vary  # a cache must not hand it to the shop either
    assert shared(preflight(sharing, "/v1/images", origin)) == {}


def test_a_preflight_says_what_may_be_sent(sharing):
    response = preflight(sharing, "/v1/search/text", SHOP)
    assert (response.status_code, response.data) == (200, b"")
    assert set(response.headers[f"{CORS}Allow-Methods"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert {"Content-Type", "X-API-Key"} <= set(response.headers[f"{CORS}Allow-Headers"].split(", "))
    assert response.headers[f"{CORS}Max-Age"] == "600"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_listed_page_may_change_something_and_others_may_not(sharing):
    headers = {"Origin": SHOP} | FROM_PAGE
    assert sharing.post("/v1/search/text", json={"q": "red"}, headers=headers).status_code == 200
    refused = sharing.post("/v1/search/text", json={"q": "red"}, headers={"Origin": OTHER} | FROM_PAGE)
    assert_problem(refused, 403, "cross-origin")
    assert shared(refused) == {}


def test_a_listed_page_needs_a_key_where_keys_are_asked_for(make_stand):
    stand = make_stand()
    database = stand.services.database
    secret = create(database, "shop", [Scope.SEARCH], now=0.0)[1]
    client = app_of(stand, access=Access(database)).test_client()
    page = {"Origin": SHOP} | FROM_PAGE
    refused = client.get("/v1/images", headers=page)
    assert_problem(refused, 401, "unauthorized")
    assert refused.headers[f"{CORS}Allow-Origin"] == SHOP  # so that the page can tell what is missing
    assert preflight(client, "/v1/images", SHOP).status_code == 200  # browsers send no key with it
    assert client.get("/v1/images", headers=page | {"X-API-Key": secret}).status_code == 200


def test_a_session_does_not_help_a_listed_page_to_which_the_browser_sends_its_cookie(make_stand):
    """Another port of this host, or a sister domain, is the same site for SameSite=Strict."""
    stand = make_stand()
    database = stand.services.database
    secret = create(database, "visitor", [Scope.ADMIN], now=0.0)[1]
    client = app_of(stand, access=Access(database)).test_client()
    assert client.post("/session", json={"key": secret}).status_code == 204
    upload = {"path": "/v1/images/by-key/new.png", "data": picture(), "content_type": "image/png"}
    page = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    assert_problem(client.put(**upload, headers=page), 401, "unauthorized")
    assert_problem(client.put(**upload, headers={"Origin": "http://localhost:3000"}), 401, "unauthorized")
    assert client.put(**upload, headers=page | {"X-API-Key": secret}).status_code == 200
    assert client.put(**upload, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_nothing_is_shared_unless_origins_are_listed(client):
    for response in (client.get("/v1/images", headers={"Origin": SHOP}), preflight(client, "/v1/images", SHOP)):
        assert shared(response) == {}
        assert "Origin" not in response.vary
    assert_problem(client.post("/v1/search/text", json={"q": "red"}, headers={"Origin": SHOP} | FROM_PAGE), 403, "cross-origin")


def test_origins_are_as_browsers_write_them():
    assert origins("HTTPS://Shop.example.org:443, http://[::1]:80,http://a_b:3000") == {SHOP, "http://[::1]", "http://a_b:3000"}
    assert origins("") == frozenset()


@pytest.mark.parametrize(
    "value", ["*", "shop.example.org", "https://shop.example.org/", "ftp://x", "null", "https://*.example.org"]
)
def test_what_is_no_origin_is_refused_with_what_would_be_one(value):
    with pytest.raises(ValueError, match="is no origin: write scheme, host and perhaps a port"):
        origins(value)


def test_every_route_answers_options_with_its_methods_and_head_as_get(shared_stand, document):
    client, id_ = shared_stand.client, shared_stand.id("red.png")
    for path, methods in document["paths"].items():
        address = path.replace("{image_id}", id_).replace("{key}", "red.png").replace("{job}", "1")
        options = client.options(address)
        assert (options.status_code, options.data, options.content_type) == (200, b"", None), path
        documented = {method.upper() for method in methods}
        assert set(options.headers["Allow"].split(", ")) == documented | {"OPTIONS"} | ({"HEAD"} if "GET" in documented else set())
        query = "?q=red" if path == "/v1/search/text" else ""
        head = client.head(address + query)
        if "GET" not in documented:
            assert (head.status_code, head.data) == (405, b""), path
            continue
        get = client.get(address + query)
        assert (head.status_code, head.data, head.content_type) == (get.status_code, b"", get.content_type), path
        if path == "/v1/feedback":  # a stream
            assert "Content-Length" not in head.headers
            continue
        assert int(head.headers["Content-Length"]) > 0
