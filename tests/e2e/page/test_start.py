"""The first start: nothing is stored yet, and then it is."""

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting
from tests.waiting import wait_until


@pytest.fixture
def visit(context, tmp_path):
    with serving(tmp_path) as server, visiting(context, server) as visit:
        yield visit


def test_where_nothing_is_stored_the_page_says_where_images_belong_and_finds_them_there(visit):
    visit.open()
    expect(visit.page.get_by_role("heading", name="There are no images yet")).to_be_visible()
    expect(visit.page.get_by_text(str(visit.server.corpus))).to_be_visible()
    expect(visit.page.get_by_role("link", name="look through all images")).to_be_hidden()
    look = visit.page.get_by_role("button", name="Look for images there now")
    look.click()
    expect(visit.page.get_by_text("No images were found there.")).to_be_visible()
    (visit.server.corpus / "red.png").write_bytes(picture(COLOURS["red"]))
    look.click()
    expect(visit.page.get_by_role("list", name="Some of the images").get_by_role("link")).to_have_count(1)
    expect(visit.page.get_by_role("heading", name="There are no images yet")).to_be_hidden()
    expect(visit.page.locator(".count")).to_have_text("1 image")


def test_images_that_are_added_at_the_first_start_are_seen_at_once(visit):
    visit.open()
    visit.page.locator("main").get_by_role("button", name="Add images").click()
    dialog = visit.page.get_by_role("dialog", name="Add images")
    new = {"name": "new.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])}
    dialog.locator("input[type=file]").set_input_files([new])
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(visit.page.get_by_role("list", name="Some of the images").get_by_role("link")).to_have_count(1)


def at_work(visit, kind, done, total):
    """The service, as the page sees it."""
    job = {"id": 1, "kind": kind, "state": "running", "done": done, "total": total, "error": ""}
    visit.page.route("**/v1/sync", lambda route: route.fulfill(json={"active": job, "last": []}))


def test_a_sync_under_way_is_told_and_its_images_appear(visit):
    """Such as one that somebody has started on the command line."""
    at_work(visit, "sync", 120, 1500)
    visit.open()
    expect(visit.page.get_by_text("Indexing: 120 of 1,500 files")).to_be_visible()
    expect(visit.page.get_by_role("progressbar", name="Indexing")).to_have_attribute("value", "120")
    (visit.server.corpus / "red.png").write_bytes(picture(COLOURS["red"]))
    visit.page.unroute_all()
    visit.page.evaluate("fetch('v1/sync', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})")
    expect(visit.page.get_by_role("list", name="Some of the images").get_by_role("link")).to_have_count(1)
    expect(visit.page.get_by_text("Indexing:")).to_be_hidden()


def test_other_work_is_called_by_its_name_and_its_end_says_nothing_of_images(visit):
    """An export's bar was named "Indexing", and of an export of no images it was said that none were found."""
    at_work(visit, "export", 3, 9)
    visit.open()
    expect(visit.page.get_by_text("Exporting: 3 of 9 images")).to_be_visible()
    expect(visit.page.get_by_role("progressbar", name="Exporting")).to_have_attribute("value", "3")
    visit.page.unroute_all()
    expect(visit.page.get_by_text("Exporting:")).to_be_hidden()
    expect(visit.page.locator("p.sync-state")).to_be_empty()


def test_a_sync_that_is_started_while_the_end_of_other_work_is_looked_at_is_told_when_it_ends(visit):
    held, works = [], [{"id": 1, "kind": "export", "state": "running", "done": 3, "total": 9, "error": ""}, None]

    def count(route):
        if works or held:
            route.continue_()
        else:  # that which follows the end of the export
            held.append(route)

    def work(route):
        if route.request.method == "GET" and works:
            route.fulfill(json={"active": works.pop(0), "last": []})
        else:
            route.continue_()

    visit.page.route("**/v1/stats", count)
    visit.page.route("**/v1/sync", work)
    visit.open()
    wait_until(lambda: visit.page.evaluate("true") and held)
    with visit.page.expect_response(lambda response: response.request.method == "POST"):
        visit.page.get_by_role("button", name="Look for images there now").click()
    held[0].continue_()
    expect(visit.page.get_by_text("No images were found there.")).to_be_visible()


def turn(page, *, hidden):
    """To another tab, or back to this one: headless browsers show every tab."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        "document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_a_tab_that_nobody_sees_asks_nothing_and_at_once_when_it_is_seen(visit):
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.page.clock.install()
    with visit.page.expect_response("**/v1/sync"):
        visit.open()
    with visit.page.expect_response("**/v1/sync"):  # asks again while there are no images
        visit.page.clock.run_for(2_500)
    turn(visit.page, hidden=True)
    asked.clear()
    visit.page.clock.run_for(20_000)
    assert asked == []
    with visit.page.expect_response("**/v1/stats"):
        turn(visit.page, hidden=False)


def test_without_images_the_page_says_how_to_get_some_and_gives_no_examples(visit):
    visit.open()
    expect(visit.page.get_by_role("heading", name="There are no images yet")).to_be_visible()
    expect(visit.page.get_by_text("python -m ml_api sync")).to_be_visible()
    expect(visit.page.get_by_text(str(visit.server.corpus))).to_be_visible()
    expect(visit.page.locator(".chip")).to_have_count(0)


def test_a_search_among_no_images_says_how_to_get_some(visit):
    visit.open()
    visit.search("red")
    expect(visit.page.get_by_role("alert")).to_contain_text("There are no images yet")
    expect(visit.page.get_by_role("alert")).to_contain_text("sync")
