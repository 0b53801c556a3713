"""What stands in the address: text of any script, slashes, parameters that nobody knows."""

import io
from urllib.parse import quote

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.api.stand import FORM_TYPE, assert_problem, form, picture

ID = "0" * 32


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


def raw(app, query):
    """Ask with these bytes after the question mark, as they are: status and body."""
    environ = EnvironBuilder(path="/v1/search/text").get_environ()
    environ["QUERY_STRING"] = query.decode("latin-1")  # as WSGI wants it
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status.split()[0]), b"".join(body).decode()


@pytest.mark.parametrize("text", ["пять собак", "犬が二匹", "🐕🐕", "Ünïcödé"])
def test_text_of_any_script_may_stand_in_the_address_as_it_is(stand, text):
    as_it_is, encoded = (raw(stand.app, f"q={given}&limit=2".encode()) for given in (text, quote(text)))
    assert as_it_is[0] == encoded[0] == 200
    hits = [answer[1].partition('"hits":')[2].partition('"timings_ms"')[0] for answer in (as_it_is, encoded)]
    assert hits[0] == hits[1]


@pytest.mark.parametrize("query", [b"q=caf\xe9", b"q=caf%E9", b"q=red&\xff=1", b"q=%F0%9F"])
def test_an_address_that_is_not_utf_8_is_refused_with_the_way_out(stand, query):
    status, body = raw(stand.app, query)
    assert status == 400
    assert "curl -G --data-urlencode" in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/search/text"),
        ("POST", "/v1/search/text"),
        ("POST", "/v1/search/image"),
        ("GET", f"/v1/images/{ID}"),
        ("GET", f"/v1/images/{ID}/similar"),
        ("GET", f"/v1/images/{ID}/content"),
        ("GET", f"/v1/images/{ID}/thumbnail"),
        ("GET", "/v1/model"),
        ("GET", "/v1/stats"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
    ],
)
def test_every_route_refuses_parameters_it_does_not_know_and_repeated_ones(client, method, path):
    detail = assert_problem(client.open(f"{path}?limti=3", method=method), 400, "invalid-query")["detail"]
    assert "limti: is not a parameter" in detail
    known = (
        "v"
        if path.endswith(("content", "thumbnail"))
        else "limit"
        if path.endswith(("similar", "image")) or method == "GET"
        else ""
    )
    if known and "there are" in detail:
        repeated = client.open(f"{path}?{known}=1&{known}=2", method=method)
        assert f"{known}: was given 2 times" in assert_problem(repeated, 400, "invalid-query")["detail"]


def test_pages_take_whatever_links_to_them_carry(client):
    assert client.get("/?q=red&utm_source=mail").status_code == 200
    assert client.get("/apidocs/?utm_source=mail").status_code == 200


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/v1/search/text/?q=two%20dogs&limit=2", "/v1/search/text?q=two%20dogs&limit=2"),
        ("/v1/stats/", "/v1/stats"),
        ("/v1/stats///", "/v1/stats"),
        ("/livez/", "/livez"),
        (f"/v1/images/{ID}/similar/", f"/v1/images/{ID}/similar"),
        ("/openapi.json/", "/openapi.json"),
        ("/v1/search/text/?q=犬", "/v1/search/text?q=%E7%8A%AC"),
        ("/apidocs", "/apidocs/"),
    ],
)
def test_a_slash_too_many_or_too_few_redirects(client, address, leads_to):
    response = client.get(address)
    assert response.status_code == 308
    assert response.location == leads_to


def test_a_form_follows_a_redirect(client):
    response = client.post("/v1/search/image/", data=form(picture()), content_type=FORM_TYPE)
    assert (response.status_code, response.location) == (308, "/v1/search/image")
    encoded = {"image": (io.BytesIO(picture()), "x.png")}
    assert client.post("/v1/search/image/", data=encoded, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/", "///evil.example//", "/nowhere/", "/v1/search/", "//livez//", "//livez/"])
def test_no_redirect_leaves_this_place(client, path):
    response = client.get("/", environ_overrides={"PATH_INFO": path})
    assert response.status_code in {308, 404}
    assert not response.headers.get("Location", "/").startswith(("//", "http"))


def test_where_other_services_have_their_documentation_leads_to_ours(client):
    response = client.get("/docs")
    assert (response.status_code, response.location) == (302, "/apidocs/")
    assert client.get("/docs", follow_redirects=True).status_code == 200


def test_the_document_is_where_programs_look_for_it_and_not_behind_a_redirect(client):
    response = client.get("/openapi.json")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.get_json()["openapi"].startswith("3.")
