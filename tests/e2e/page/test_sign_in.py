"""A visitor of a service that asks for keys."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ml_api.access import Access, Scope
from ml_api.access.keys import create, new_secret, revoke
from ml_api.api.authorization import COOKIE
from ml_api.embedding.fake import COLOURS
from tests.databases import new_database
from tests.e2e.page.stage import PER_COLOUR, SHOWN, picture, serving
from tests.e2e.page.test_apidocs import opened
from tests.e2e.page.test_own_image import choose

START = 1_800_000_000.0


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A database with a key for each scope."""
    database = new_database(tmp_path_factory.mktemp("keys") / "state.sqlite3")
    yield database, {scope.value: create(database, scope.value, [scope], now=START)[1] for scope in Scope}
    database.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory, keys):
    folder: Path = tmp_path_factory.mktemp("corpus")
    for colour in SHOWN:
        for number in range(PER_COLOUR):
            file = folder / colour / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(picture(tuple(min(255, channel + 3 * number) for channel in COLOURS[colour])))
    with serving(folder, access=Access(keys[0])) as server:
        yield server


def sign_in(visit, key):
    dialog = visit.page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()
    return dialog


def test_a_visitor_signs_in_once_searches_looks_and_signs_out(visit, keys):
    visit.open("/?q=red")
    dialog = sign_in(visit, keys[1]["search"])
    expect(dialog).to_be_hidden()
    visit.expect_first("red")
    expect(visit.page.locator(".count")).to_have_text("30 images")
    assert visit.page.locator(".hit img").first.evaluate("image => image.decode().then(() => image.naturalWidth)")
    [cookie] = [cookie for cookie in visit.page.context.cookies() if cookie["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert keys[1]["search"] not in cookie["value"]
    assert visit.page.evaluate("document.cookie") == ""
    visit.page.reload()
    visit.expect_first("red")
    choose(visit)
    visit.expect_first("green")
    visit.page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()
    expect(visit.page.get_by_role("button", name="Sign out", include_hidden=True)).to_be_hidden()
    assert not [cookie for cookie in visit.page.context.cookies() if cookie["name"] == COOKIE]


@pytest.mark.parametrize("address", ["/", "/?q=red", "/?view=duplicates"])
def test_a_sign_out_that_fails_is_told_where_it_is_seen_and_can_be_tried_again(visit, keys, address):
    visit.open(address)
    dialog = sign_in(visit, keys[1]["search"])
    expect(dialog).to_be_hidden()
    out = visit.page.get_by_role("button", name="Sign out")
    expect(out).to_be_visible()  # what the visitor may do was asked of the same address
    visit.page.route("**/session", lambda route: route.abort())
    out.click()
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("The server does not answer")
    expect(alert).to_contain_text("You are still signed in.")
    expect(alert).to_be_in_viewport(ratio=1)
    expect(out).to_have_text("Sign out")
    visit.page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_visible()


def test_who_is_not_signed_in_may_do_so_whenever_he_likes(visit, keys):
    visit.open()
    expect(visit.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_role("button", name="Sign out")).to_be_hidden()
    visit.page.get_by_role("button", name="Sign in").click()
    sign_in(visit, keys[1]["search"])
    expect(visit.page.locator(".count")).to_have_text("30 images")
    expect(visit.page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Sign in")).to_be_hidden()


def test_a_key_that_is_not_valid_is_said_so_and_another_can_be_tried(visit, keys):
    visit.open("/?q=blue")
    dialog = sign_in(visit, new_secret())
    expect(dialog.get_by_role("alert")).to_have_text("the API key is not one of this service's")
    expect(sign_in(visit, keys[1]["admin"])).to_be_hidden()
    visit.expect_first("blue")


def test_a_key_that_may_not_search_is_said_so(visit, keys):
    visit.open("/?q=blue")
    dialog = sign_in(visit, keys[1]["write"])
    expect(dialog.get_by_role("alert")).to_have_text(re.compile("this needs the scope search; the API key .* has write"))
    expect(sign_in(visit, keys[1]["search"])).to_be_hidden()
    visit.expect_first("blue")


def test_who_closes_the_dialog_is_told_what_is_missing(visit, keys):
    visit.open("/?q=red")
    expect(visit.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_role("alert")).to_contain_text("this service asks for an API key")
    visit.page.get_by_role("alert").get_by_role("button", name="Sign in").click()
    expect(sign_in(visit, keys[1]["search"])).to_be_hidden()
    visit.expect_first("red")
    expect(visit.page.get_by_role("button", name="Add images")).to_be_hidden()


def test_who_signs_in_is_offered_what_the_key_allows_at_once(visit, keys):
    _, both = create(keys[0], "both", [Scope.SEARCH, Scope.WRITE], now=START)
    visit.server.access.refresh()
    visit.open("/?q=red")
    sign_in(visit, both)
    visit.expect_first("red")
    expect(visit.page.get_by_role("button", name="Add images")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Select")).to_be_visible()


def test_a_session_that_ends_meanwhile_is_opened_anew_where_the_visitor_was(visit, keys, shared_server):
    database, _ = keys
    short, secret = create(database, "short", [Scope.SEARCH], now=START)
    shared_server.access.refresh()
    visit.open("/?q=red")
    expect(sign_in(visit, secret)).to_be_hidden()
    visit.expect_first("red")
    revoke(database, short.id, now=START)
    shared_server.access.refresh()
    visit.search("green")
    dialog = visit.page.get_by_role("dialog", name="Sign in")
    expect(dialog.get_by_role("alert")).to_have_text("the session is over; sign in again")
    sign_in(visit, keys[1]["search"])
    visit.expect_first("green")


def test_swagger_ui_takes_a_key_by_its_button(visit, keys):
    operation = opened(visit, "How much is stored, and how")
    visit.page.get_by_role("button", name="Authorize").click()
    visit.page.locator(".auth-container", has_text="bearer").get_by_role("textbox").fill(keys[1]["search"])
    visit.page.locator(".auth-container", has_text="bearer").get_by_role("button", name="Apply credentials").click()
    visit.page.get_by_role("button", name="Close").first.click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_a_page_of_another_site_can_send_and_changes_nothing(context, server, caplog):
    """localhost is another site than 127.0.0.1, for a browser. It sends as a form would, without asking first."""
    page = context.new_page()
    page.goto(server.url.replace("127.0.0.1", "localhost") + "/static/icon.svg")
    send = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'}).then(() => 1, () => 0)"
    assert page.evaluate(send, f"{server.url}/v1/search/image") == 0
    assert "a page of 'http://localhost:" in caplog.text
