"""A page of another site, open in a browser here, reads nothing: by no route, no error and no redirect."""

import pytest

from ml_api.app import create_app
from ml_api.browsers import HEADERS
from ml_api.settings import load_settings
from tests.api.stand import assert_problem

ROUTES = [
    *("/", "/livez", "/readyz", "/apidocs", "/apidocs/", "/openapi.json", "/v1/model", "/v1/stats", "/v1/search/text?q=red"),
    *(
        "/static/page.js",
        "/apidocs/assets/swagger-ui.css",
        "/nowhere",
        f"/v1/images/{'0' * 32}",
        f"/v1/images/{'0' * 32}/thumbnail",
    ),
]


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


def test_every_route_is_refused_under_a_foreign_name(stand):
    rules = [rule for rule in stand.app.url_map.iter_rules() if not rule.arguments]
    for path in {*ROUTES, *(rule.rule for rule in rules)}:
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            response = stand.client.open(path, method=method, headers={"Host": "evil.example:8420"})
            body = assert_problem(response, 421, "misdirected-request")
            assert "ML_API_ALLOWED_HOSTS" in body["detail"]
            assert "Location" not in response.headers


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("host", ["localhost", "evil.example", "not a host"])
def test_every_answer_tells_browsers_to_keep_it_from_other_sites(client, path, host):
    with client.get(path, headers={"Host": host}) as response:
        assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_a_malformed_host_is_bad_input(client):
    assert_problem(client.get("/v1/model", headers={"Host": "localhost@evil.example"}), 400, "bad-host")


def test_a_forwarded_host_from_anybody_has_no_effect(client):
    assert client.get("/v1/model", headers={"X-Forwarded-Host": "evil.example"}).status_code == 200
    assert client.get("/v1/model", headers={"Host": "evil.example", "X-Forwarded-Host": "localhost"}).status_code == 421


def test_a_trusted_proxy_names_the_host_and_hides_none(stand):
    """A rebound page's requests may come from the proxy's own machine, with X-Forwarded-Host of the page's making."""
    settings = {"ML_API_TRUSTED_PROXIES": "127.0.0.1", "ML_API_ALLOWED_HOSTS": "photos.example.org"}
    client = create_app(load_settings(settings), stand.services).test_client()
    for host, forwarded, status in (
        ("127.0.0.1:8420", "photos.example.org", 200),
        ("photos.example.org", "photos.example.org", 200),
        ("127.0.0.1:8420", "evil.example", 421),
        ("evil.example:8420", "localhost", 421),
    ):
        response = client.get("/v1/model", headers={"Host": host, "X-Forwarded-Host": forwarded})
        assert response.status_code == status, (host, forwarded)


def test_names_with_an_underscore_work_throughout(make_stand):
    client = make_stand(allowed_hosts="ml_api").client
    for path in ("/", "/apidocs/", "/v1/search/text?q=red", "/apidocs"):
        assert client.get(path, headers={"Host": "ml_api:8420"}).status_code in {200, 308}


@pytest.mark.parametrize("path", ["/apidocs", "//apidocs", "///apidocs//"])
def test_redirects_are_relative(client, path):
    response = client.get("/", query_string="tag=search", environ_overrides={"PATH_INFO": path})
    assert response.status_code == 308
    assert response.headers["Location"] == "/apidocs/?tag=search"


def test_no_redirect_leads_to_another_host(client):
    """A browser takes an address that begins with two slashes for one of another host."""
    for path in ("//evil.example/apidocs", "//evil.example//apidocs/", "/\\evil.example/apidocs", "//evil.example/..//apidocs"):
        response = client.get("/", environ_overrides={"PATH_INFO": path})
        location = response.headers.get("Location", "/")
        assert not location.startswith(("//", "/\\", "http"))
