"""The page as the server sends it: safe headers, nothing inline, nothing from elsewhere."""

import json
import re
from contextlib import closing
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import urljoin

import pytest

from ml_api import web
from ml_api.embedding.fake import FakeEncoder
from ml_api.vectors.filters.tree import RESERVED
from tests.api.stand import MAX_BYTES, build_stand, picture, write_corpus

PAGES = ["/", "/apidocs/"]
SOURCES = sorted(file for file in Path(web.__file__).parent.rglob("*") if file.suffix in {".html", ".css", ".js", ".svg"})


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


class Elements(HTMLParser):
    """Every element of a page with its attributes, and what stands inside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.inline = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem:
            self.inline += data.strip()


def elements(client, address):
    return Elements(client.get(address).get_data(as_text=True))


def status_of(client, url):
    with client.get(url) as response:
        return response.status_code


@pytest.mark.parametrize("address", PAGES)
def test_a_page_may_run_and_load_only_what_is_ours(client, address):
    response = client.get(address)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' blob: data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("address", PAGES)
def test_a_page_holds_no_inline_script_or_style(client, address):
    page = elements(client, address)
    assert page.inline == ""
    assert [tag for tag, given in page.found if "style" in given or any(name.startswith("on") for name in given)] == []


@pytest.mark.parametrize("address", PAGES)
def test_everything_that_a_page_loads_is_there(client, address):
    page = elements(client, address)
    loaded = {given.get("src") or given.get("href") for tag, given in page.found if tag in {"script", "img", "link"}} - {None}
    assert loaded
    assert {url: status_of(client, url) for url in loaded} == dict.fromkeys(loaded, 200)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_a_file_names_no_other_place(file):
    places = set(re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"')]*""", file.read_text()))
    assert places <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_asked_for_anew_so_that_it_fits_its_scripts(client, address):
    assert client.get(address).cache_control.no_cache


def test_other_answers_keep_their_own_policy(client):
    assert "Content-Security-Policy" not in client.get("/v1/model").headers


def test_a_search_in_the_address_stands_in_the_box_as_text(client):
    page = client.get("/", query_string={"q": '"><script>alert(1)</script>'})
    [box] = [given for tag, given in Elements(page.get_data(as_text=True)).found if given.get("name") == "q"]
    assert box["value"] == '"><script>alert(1)</script>'
    assert b"<script>alert" not in page.data


def test_the_page_knows_which_names_of_fields_are_taken():
    [names] = re.findall(r"RESERVED = (\[.*?\]);", (Path(web.__file__).parent / "static" / "filters" / "conditions.js").read_text())
    assert set(json.loads(names)) == RESERVED


def test_a_page_that_did_not_load_completely_leads_to_itself_wherever_a_proxy_serves_it(tmp_path):
    stand = build_stand(write_corpus(tmp_path / "corpus"), tmp_path / "thumbnails", root_path="/photos")
    with closing(stand.services):
        html = stand.client.get("/photos/?q=red&w=2").get_data(as_text=True)
    [href] = re.findall(r'<a href="([^"]*)"[^>]*>Load it again', html)
    assert urljoin("http://localhost/photos/?q=red&w=2", href) == "http://localhost/photos/?q=red&w=2"


def test_the_page_knows_how_large_an_image_may_be(client):
    [body] = [given for tag, given in elements(client, "/").found if tag == "body"]
    assert body["data-max-bytes"] == str(MAX_BYTES)


def test_the_page_knows_how_large_the_model_sees_an_image(client, stand):
    [body] = [given for tag, given in elements(client, "/").found if tag == "body"]
    assert body["data-model-edge"] == str(stand.services.engine.preprocessor.fit.edge_px)


DEMO_MODEL = "demo model (small, on drawings)"
EXAMPLE = "two dogs playing in the snow"
ONLY_DRAWN_SCENES = "This small model knows only drawn scenes."


@pytest.fixture
def drawn(tmp_path):
    """What `demo` draws, cut down to one picture that is always there."""
    root = tmp_path / "drawn"
    (root / "snow").mkdir(parents=True)
    (root / "snow" / "two-brown-dogs-0000.jpg").write_bytes(picture(kind="JPEG"))
    (root / "metadata.jsonl").write_text('{"key": "snow/two-brown-dogs-0000.jpg", "facts": {"setting": "snow"}}\n')
    return root


def home(stand):
    with closing(stand.services):
        return stand.client.get("/").get_data(as_text=True)


def test_examples_are_given_over_the_pictures_of_the_demo(drawn, tmp_path):
    page = home(build_stand(drawn, tmp_path / "thumbnails", encoder=FakeEncoder(name=DEMO_MODEL)))
    assert all(example in page for example in web.EXAMPLES)
    assert ONLY_DRAWN_SCENES not in page


def test_over_a_folder_of_ones_own_the_demo_model_says_what_it_knows(tmp_path):
    root = write_corpus(tmp_path / "corpus")
    page = home(build_stand(root, tmp_path / "thumbnails", encoder=FakeEncoder(name=DEMO_MODEL)))
    assert EXAMPLE not in page
    assert ONLY_DRAWN_SCENES in page
    assert "ML_API_MODEL" in page


def test_another_model_says_nothing_of_drawn_scenes(client):
    page = client.get("/").get_data(as_text=True)
    assert EXAMPLE not in page
    assert ONLY_DRAWN_SCENES not in page


def test_a_page_over_a_store_that_is_down_has_neither(make_stand):
    stand = make_stand(encoder=FakeEncoder(name=DEMO_MODEL))
    stand.services.engine.store.close()
    page = stand.client.get("/").get_data(as_text=True)
    assert EXAMPLE not in page
    assert ONLY_DRAWN_SCENES not in page


def test_the_model_is_named(client):
    assert "fake" in client.get("/").get_data(as_text=True)


def test_swagger_ui_is_the_packaged_one_and_not_the_old_one_of_flasgger(client):
    with client.get("/apidocs/assets/swagger-ui-bundle.js") as served:
        assert served.data == (files("flask_swagger_ui") / "dist" / "swagger-ui-bundle.js").read_bytes()


@pytest.mark.parametrize(
    ("address", "accept", "media_type"),
    [
        ("/nothing", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("/nothing", "*/*", "application/problem+json"),
        ("/nothing", "application/json", "application/problem+json"),
        ("/nothing", "", "application/problem+json"),
        ("/v1/nothing", "text/html", "application/problem+json"),
    ],
)
def test_an_address_that_leads_nowhere_is_a_page_for_browsers_and_json_for_programs(client, address, accept, media_type):
    response = client.get(address, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (404, media_type)
    assert ("There is no such page" in response.get_data(as_text=True)) == (media_type == "text/html")
    assert "Content-Security-Policy" in response.headers or media_type != "text/html"
