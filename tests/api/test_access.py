"""Who may ask what: every route there is, for every kind of caller."""

import logging
import re
import time

import pytest

from ml_api.access import PUBLIC, Access, Scope
from ml_api.access.keys import create, new_secret, revoke
from ml_api.api.authorization import COOKIE, PUBLIC_ENDPOINTS, SCOPE, scope_of
from ml_api.app import create_app
from ml_api.logs import SECRET
from ml_api.settings import load_settings
from tests.api.stand import assert_problem, build_stand, picture, write_corpus
from tests.databases import new_database

ANYTHING = "0" * 32
NO_KEY = 'Bearer realm="ml_api"'
WRONG_KEY = 'Bearer realm="ml_api", error="invalid_token"'
INVALID = ("unknown", "malformed", "expired", "revoked")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A database, and a key for each kind of caller."""
    database = new_database(tmp_path_factory.mktemp("keys") / "state.sqlite3")
    now = time.time()
    made = {scope.value: create(database, scope.value, [scope], now=now)[1] for scope in Scope}
    made |= {"unknown": new_secret(), "malformed": "secret"}
    made["expired"] = create(database, "expired", Scope, now=now - 10, expires_at=now - 5)[1]
    revoked, made["revoked"] = create(database, "revoked", Scope, now=now)
    revoke(database, revoked.id, now=now)
    return database, made


@pytest.fixture(scope="module")
def guarded(keys, tmp_path_factory):
    """The application, which asks for keys."""
    folder, (database, _) = tmp_path_factory.mktemp("guarded"), keys
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails", database=database, access=Access(database))
    yield stand
    stand.services.close()


@pytest.fixture
def visitor(guarded):
    """A browser of its own."""
    return guarded.app.test_client()


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def asked(stand):
    """Every method of every route: its rule, a URL, the method, the scope."""
    for rule in stand.app.url_map.iter_rules():
        url = re.sub(r"<[^>]*>", ANYTHING, rule.rule)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield rule, url, method, scope_of(stand.app, rule.endpoint)


def test_every_route_declares_its_scope_or_is_public_by_name(shared_stand):
    app = shared_stand.app
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    silent = {name for name in endpoints - PUBLIC_ENDPOINTS if not hasattr(app.view_functions[name], SCOPE)}
    assert not silent, "say `scope=` in `operation(...)`"
    assert endpoints >= PUBLIC_ENDPOINTS


def test_a_route_that_declares_nothing_is_the_administrators(shared_stand):
    shared_stand.app.view_functions["forgotten"] = lambda: "secret"
    try:
        assert scope_of(shared_stand.app, "forgotten") is Scope.ADMIN
    finally:
        del shared_stand.app.view_functions["forgotten"]


@pytest.mark.parametrize("caller", [None, *INVALID, *Scope])
def test_every_route_lets_in_whom_it_says(guarded, keys, caller):
    """Each method of each route. What the route itself makes of an empty request is not the question."""
    client, given = guarded.app.test_client(), bearer(keys[1][caller]) if caller else {}
    for rule, url, method, scope in asked(guarded):
        with client.open(url, method=method, headers=given) as response:
            status, challenge = response.status_code, response.headers.get("WWW-Authenticate")
            told = (rule.rule, method, status)
            if scope is PUBLIC:
                assert status not in {401, 403}, told
            elif caller is None:
                assert (status, challenge) == (401, NO_KEY), told
            elif caller in INVALID:
                assert (status, challenge) == (401, WRONG_KEY), told
            elif caller in {scope, Scope.ADMIN}:
                assert status not in {401, 403}, told
            else:
                assert (status, challenge) == (403, f'Bearer realm="ml_api", error="insufficient_scope", scope="{scope}"'), told
            if method == "HEAD":
                assert response.data == b"", told
            elif status in {401, 403}:
                assert_problem(response, status, response.get_json()["code"])


@pytest.mark.parametrize("caller", [None, "unknown"])
def test_no_spelling_of_a_route_goes_past_its_scope(guarded, keys, caller):
    client, given = guarded.app.test_client(), bearer(keys[1][caller]) if caller else {}
    for rule, url, method, scope in asked(guarded):
        if scope is PUBLIC:
            continue
        for spelt in (f"{url}/", f"{url}//", f"/{url}", url.swapcase(), f"{url};x=1", f"/static/..{url}", f"{url}/.", f"{url}\\"):
            response = client.open("/", method=method, headers=given, environ_overrides={"PATH_INFO": spelt})
            assert response.status_code in {308, 401, 404, 405}, (rule.rule, method, spelt, response.status_code)


def test_which_methods_there_are_is_no_secret(guarded):
    for _, url, _, _ in asked(guarded):
        response = guarded.client.options(url)
        assert response.status_code == 200
        assert response.headers["Allow"]
        assert response.data == b""


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "get", "XYZ"])
def test_a_method_that_no_route_has_reaches_none(guarded, method):
    for _, url, _, scope in asked(guarded):
        if scope is not PUBLIC:
            assert guarded.client.open(url, method=method).status_code in {401, 405}, url


@pytest.mark.parametrize(
    "headers",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"Authorization": f"bearer   {key} "},
        lambda key: {"X-API-Key": key},
        lambda key: {"X-API-Key": key, "Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    ],
    ids=["bearer", "lower case", "X-API-Key", "beside a proxy's password"],
)
def test_a_key_may_come_in_either_header(guarded, keys, headers):
    assert guarded.client.get("/v1/stats", headers=headers(keys[1]["search"])).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        lambda key: {"Authorization": key},
        lambda key: {"Authorization": f"Basic {key}"},
        lambda key: {"Cookie": f"{COOKIE}={key}"},
        lambda key: [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")],
        lambda key: {"Authorization": f"Bearer {key.upper()}"},
    ],
    ids=["no scheme", "another scheme", "as a cookie", "twice", "in capitals"],
)
def test_a_key_comes_no_other_way(guarded, keys, headers):
    assert guarded.app.test_client().get("/v1/stats", headers=headers(keys[1]["search"])).status_code == 401
    assert guarded.client.get(f"/v1/stats?key={keys[1]['search']}").status_code == 401


def test_a_refused_key_is_told_from_a_session_that_would_do(visitor, keys):
    sign_in(visitor, keys[1]["search"])
    assert visitor.get("/v1/stats").status_code == 200
    assert_problem(visitor.get("/v1/stats", headers=bearer(new_secret())), 401, "invalid-api-key")


def test_the_refusal_says_what_would_be_right(guarded, keys):
    _, made = keys
    details = {
        caller: guarded.client.get("/v1/stats", headers=bearer(made[caller]) if caller else {}).get_json()["detail"]
        for caller in (None, "unknown", "expired", "revoked", "write")
    }
    assert "`Authorization: Bearer KEY` or as `X-API-Key: KEY`" in details[None]
    assert details["unknown"] == "the API key is not one of this service's"
    assert " expired on 20" in details["expired"]
    assert " was revoked on 20" in details["revoked"]
    assert details["write"].startswith("this needs the scope search; the API key ")


def test_what_is_refused_is_counted(guarded, keys):
    def count():
        return guarded.services.metrics.registry.get_sample_value("ml_api_rejected_total", {"reason": "auth"}) or 0

    before = count()
    guarded.client.get("/v1/stats")
    guarded.client.get("/v1/stats", headers=bearer(keys[1]["write"]))
    guarded.client.post("/v1/search/text", headers={"Sec-Fetch-Site": "cross-site"})
    guarded.client.get("/v1/stats", headers=bearer(keys[1]["search"]))
    assert count() == before + 3


def test_the_log_has_who_asked_and_who_was_refused_but_no_key(guarded, keys, caplog):
    caplog.set_level(logging.INFO)
    _, made = keys
    client = create_app(load_settings({}), guarded.services).test_client()  # which has refused nobody yet
    client.get("/v1/stats", headers=bearer(made["search"]))
    for _ in range(20):
        client.get("/v1/stats", headers=bearer(made["expired"]))
    client.get(f"/v1/{made['search']}", headers=bearer(made["admin"]))
    [line] = [record for record in caplog.records if getattr(record, "user.id", None)]
    assert getattr(line, "ml_api.route") == "/v1/stats"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    told = [text for text in warnings if "(expired)" in text]  # others may be counts of what earlier tests were refused
    assert len(told) <= 2, "a line for each would fill the disk"
    assert re.match(r"refused 127.0.0.1: the API key [0-9a-f]{8} \(expired\) expired on ", told[0])
    fields = [str(value) for record in caplog.records for value in vars(record).values()]
    assert not [value for value in fields if SECRET.search(value)]


# --- signing in on the page ---


def sign_in(client, key, **headers):
    return client.post("/session", json={"key": key}, headers=headers)


def test_signing_in_opens_a_session_that_scripts_cannot_read_and_other_sites_cannot_use(visitor, keys):
    response = sign_in(visitor, f" {keys[1]['search']}\n")
    assert (response.status_code, response.data) == (204, b"")
    cookie = response.headers["Set-Cookie"]
    assert re.fullmatch(rf"{COOKIE}=mlapi_[0-9a-f]{{64}}; Expires=[^;]+; HttpOnly; Path=/; SameSite=Strict", cookie), cookie
    assert keys[1]["search"] not in cookie
    assert visitor.get("/v1/search/text?q=red").status_code == 200
    assert visitor.get(f"/v1/images/{ANYTHING}").status_code == 404
    assert visitor.get("/v1/stats", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_behind_https_the_session_never_travels_without(visitor, keys):
    response = visitor.post("/session", json={"key": keys[1]["search"]}, base_url="https://localhost")
    assert "Secure" in response.headers["Set-Cookie"]


def test_a_session_may_do_what_its_key_may(visitor, keys):
    sign_in(visitor, keys[1]["write"])
    assert_problem(visitor.get("/v1/stats"), 403, "insufficient-scope")


def test_the_page_is_told_what_the_visitor_may_do(visitor, keys):
    nothing = {"search": False, "write": False, "syncs": False, "signed_in": False}
    assert visitor.get("/session").json == nothing
    sign_in(visitor, keys[1]["search"])
    assert visitor.get("/session").json == nothing | {"search": True, "signed_in": True}
    sign_in(visitor, keys[1]["write"])
    assert visitor.get("/session").json == nothing | {"write": True, "syncs": True, "signed_in": True}


def test_signing_out_ends_the_session_here_and_there(guarded, visitor, keys):
    sign_in(visitor, keys[1]["search"])
    stolen = visitor.get_cookie(COOKIE).value
    response = visitor.delete("/session")
    assert response.status_code == 204
    assert visitor.get_cookie(COOKIE) is None
    thief = guarded.app.test_client()
    thief.set_cookie(COOKIE, stolen)
    assert_problem(thief.get("/v1/stats"), 401, "invalid-api-key")
    assert visitor.delete("/session").status_code == 204


@pytest.mark.parametrize("caller", INVALID)
def test_only_a_valid_key_signs_in(visitor, keys, caller):
    response = sign_in(visitor, keys[1][caller])
    assert_problem(response, 401, "invalid-api-key")
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 1}, {"key": "x" * 300}, {"key": "x", "more": 1}])
def test_signing_in_with_something_else_is_bad_input(visitor, body):
    assert_problem(visitor.post("/session", json=body), 400, "invalid-query")


def test_the_page_is_shown_before_anybody_signs_in_and_shows_no_image(guarded):
    page = guarded.app.test_client().get("/")
    assert page.status_code == 200
    assert "red.png" not in page.get_data(as_text=True)


def test_a_service_that_asks_for_no_keys_has_nothing_to_sign_in_to(client):
    for response in (sign_in(client, new_secret()), client.delete("/session")):
        assert_problem(response, 404, "not-found")


def test_a_service_that_asks_for_no_keys_looks_at_none(client):
    assert client.get("/v1/stats", headers=bearer("nonsense")).status_code == 200


# --- pages of other sites ---

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
]
OURS = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "http://LOCALHOST"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_changes_nothing(shared_stand, headers):
    """Without keys too: a form on any page could post to a service on its visitor's machine."""
    for _, url, method, _ in asked(shared_stand):
        if method not in {"GET", "HEAD"}:
            detail = assert_problem(shared_stand.client.open(url, method=method, headers=headers), 403, "cross-origin")["detail"]
            assert "X-Forwarded-Host" in detail


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_a_page_of_ours_and_what_is_no_page_may(client, headers):
    assert client.post("/v1/search/text", json={"q": "red"}, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_link_on_another_site_leads_here(client, headers):
    assert client.get("/", headers=headers).status_code == 200


def test_a_session_does_not_help_a_page_of_another_site(visitor, keys):
    sign_in(visitor, keys[1]["admin"])
    for headers in FOREIGN:
        response = visitor.post("/v1/search/image", data=picture(), content_type="image/png", headers=headers)
        assert_problem(response, 403, "cross-origin")
    assert_problem(sign_in(visitor, keys[1]["admin"], Origin="https://evil.example"), 403, "cross-origin")


# --- the document ---


def test_the_document_says_how_keys_come_and_which_routes_ask_for_one(guarded, document):
    guarded_document = guarded.client.get("/openapi.json").get_json()
    assert {scheme["type"] for scheme in guarded_document["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert guarded_document["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in document, "where no keys are asked for"
    assert "securitySchemes" not in document["components"]
    for path, operations in guarded_document["paths"].items():
        for operation in operations.values():
            is_public = path in {"/livez", "/readyz"}
            assert ("security" in operation, "401" in operation["responses"]) == (is_public, not is_public)
            assert ("Scope: `" in operation.get("description", "")) is not is_public
