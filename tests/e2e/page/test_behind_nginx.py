"""The page, Swagger UI, links and redirects below a path, behind a real proxy that takes the path away or passes it on."""

import json
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from monitoring.local.launcher import free_port
from tests.e2e.page.stage import PER_COLOUR, SHOWN, picture, serving, visiting
from tests.e2e.page.test_apidocs import first_folder, opened
from tests.e2e.page.test_own_image import choose
from tests.servers.nginx import nginx

FORWARDED = """
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Prefix /told;
"""
WAYS = {
    "told": ({"trusted_proxies": "127.0.0.0/8"}, "{url}/", FORWARDED),
    "set-and-taken-away": ({"root_path": "/set-and-taken-away"}, "{url}/", ""),
    "set-and-passed-on": ({"root_path": "/set-and-passed-on/"}, "{url}", ""),
}
"""By path: settings, where the proxy passes requests to, what it says of them."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of each way, and its server."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    for colour in SHOWN:
        for number in range(PER_COLOUR):
            file = folder / "corpus" / colour / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(tuple(min(255, channel + 3 * number) for channel in COLOURS[colour])))
    with ExitStack() as stack:
        servers, locations = {}, []
        for name, (settings, target, headers) in WAYS.items():
            server = stack.enter_context(serving(folder / "corpus", **settings))
            locations.append(f"location /{name}/ {{ proxy_pass {target.format(url=server.url)}; {headers} }}")
            servers[name] = replace(server, url=f"http://127.0.0.1:{port}/{name}")
        stack.enter_context(nginx(folder, port, "\n".join(locations)))
        yield servers


@pytest.fixture(params=WAYS)
def server(served, request):
    return served[request.param]


def get(address, **headers):
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as response:
        return response.status, response.url, response.read()


def test_the_page_finds_shows_and_takes_images(visit):
    visit.open("/")
    visit.search("red")
    visit.expect_first("red")
    visit.expect_address("/?q=red")
    loaded = "image => image.complete && image.naturalWidth > 0"
    visit.page.wait_for_function(f"() => ({loaded})(document.querySelector('.hit img'))")
    visit.page.locator(".hit .open").first.click()
    expect(visit.dialog).to_be_visible()
    visit.page.keyboard.press("Escape")
    choose(visit, picture(COLOURS["green"]))
    visit.expect_first("green")


def test_swagger_ui_executes_and_leads_back(visit):
    operation = opened(visit, "Find images that look like the one sent")
    operation.get_by_label("Request content type").select_option("application/json")
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert first_folder(operation) == "red"
    visit.page.get_by_role("link", name="Back to the search").click()
    visit.expect_address("/")


def test_every_link_of_an_answer_leads_somewhere(server):
    [hit] = json.loads(get(f"{server.url}/v1/search/text?q=red&limit=1")[2])["hits"]
    for link in hit["links"].values():
        assert get(urljoin(server.url, link))[0] == 200


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [("/docs", "/apidocs/"), ("/apidocs", "/apidocs/"), ("/openapi.json/", "/openapi.json"), ("/v1/stats/", "/v1/stats")],
)
def test_redirects_stay_below_the_path(server, address, leads_to):
    status, url, _ = get(server.url + address)
    assert (status, url) == (200, server.url + leads_to)


def test_a_missing_route_names_the_documentation_below_the_path(server):
    with pytest.raises(urllib.error.HTTPError) as raised:
        get(f"{server.url}/nowhere")
    with raised.value as answer:
        documentation = json.loads(answer.read())["detail"].partition("; ")[2].split(" ")[0]
    assert get(urljoin(server.url, documentation))[0] == 200


def test_a_script_name_from_a_client_has_no_effect(server):
    plain = json.loads(get(f"{server.url}/v1/search/text?q=red&limit=1")[2])["hits"]
    evil = {"SCRIPT_NAME": "/evil", "Script-Name": "/evil", "X-Script-Name": "/evil"}
    assert json.loads(get(f"{server.url}/v1/search/text?q=red&limit=1", **evil)[2])["hits"] == plain


def test_the_log_tells_who_asked_a_trusted_proxy(served, caplog):
    caplog.set_level("INFO", "ml_api.access")
    get(f"{served['told'].url}/v1/stats", **{"X-Forwarded-For": "203.0.113.9"})
    [line] = [record for record in caplog.records if record.name == "ml_api.access"]
    assert vars(line)["client.ip"] == "127.0.0.1"  # nginx's word, which replaced the client's


@pytest.fixture
def visit(context, server):
    with visiting(context, server) as visit:
        yield visit
