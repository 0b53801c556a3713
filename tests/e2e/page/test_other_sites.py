"""A real browser on a page of evil.example, whose name leads to this machine: it reads nothing and embeds nothing of ours."""

import pytest

from tests.e2e.page.conftest import launched

PICTURE = """address => new Promise(done => {
    const image = new Image();
    image.onload = () => done(true);
    image.onerror = () => done(false);
    image.src = address;
})"""


@pytest.fixture(scope="module")
def victim(browser):
    """A browser for which evil.example has been rebound to 127.0.0.1."""
    rebound = launched(browser.browser_type, "--host-resolver-rules=MAP evil.example 127.0.0.1")
    yield rebound
    rebound.close()


def test_a_rebound_page_reads_nothing(victim, server):
    port = server.url.rpartition(":")[2]
    page = victim.new_page()
    answer = page.goto(f"http://evil.example:{port}/")
    assert answer.status == 421
    # What its script, of the same origin to the browser, gets to see:
    for path in ("/v1/search/text?q=red", "/v1/stats", "/apidocs/", "/"):
        assert page.evaluate("async path => (await fetch(path)).status", path) == 421
    page.close()


def test_a_foreign_page_embeds_no_picture(victim, server):
    page = victim.new_page()
    page.goto(f"{server.url}/v1/model")
    thumbnail = page.evaluate("async () => (await (await fetch('/v1/search/text?q=red')).json()).hits[0].links.thumbnail")
    assert page.evaluate(PICTURE, server.url + thumbnail), "at home it is shown"
    page.goto(f"{server.url.replace('127.0.0.1', 'localhost')}/v1/model")  # another site, for a browser
    assert not page.evaluate(PICTURE, server.url + thumbnail)
    page.close()
