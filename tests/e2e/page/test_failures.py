"""What cannot be done is said: what, why, and what to do."""

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting


def test_an_error_shows_its_reason_and_the_request_id_and_can_be_tried_again(visit):
    visit.server.model.is_broken = True
    visit.open()
    with visit.page.expect_response("**/v1/search/text*") as answer:
        visit.search("red")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("The search is not available right now")
    expect(alert).to_contain_text("the model is having a rest")
    expect(alert).to_contain_text(f"Request {answer.value.headers['x-request-id']}")
    visit.server.model.is_broken = False
    alert.get_by_role("button", name="Try again").click()
    visit.expect_first("red")
    expect(alert).to_be_hidden()


def test_a_request_that_can_never_work_is_not_offered_again(visit):
    visit.open("/?q=" + "x" * 1001)
    expect(visit.page.get_by_role("alert")).to_contain_text("That search does not work")
    expect(visit.page.get_by_role("alert")).to_contain_text("at most 1,000 characters")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(visit.page.get_by_role("button", name="Choose another image")).to_be_hidden()


def test_a_server_that_does_not_answer_is_said_so(visit, context):
    visit.open()
    context.set_offline(True)
    visit.search("red")
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    context.set_offline(False)
    visit.page.get_by_role("button", name="Try again").click()
    visit.expect_first("red")


def test_a_next_page_that_fails_leaves_what_was_found(visit, context):
    visit.open("/?q=red")
    expect(visit.hits).to_have_count(24)
    context.set_offline(True)
    visit.page.get_by_role("button", name="Show more").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect(visit.hits).to_have_count(24)
    expect(visit.status).to_contain_text("24 images closest to red")
    context.set_offline(False)
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.hits).to_have_count(31)


def test_more_like_an_image_that_is_gone_says_so(visit):
    visit.open(f"/?like={'0' * 32}")
    expect(visit.page.get_by_role("alert")).to_contain_text("There is no such image")


def test_an_image_whose_file_is_gone_keeps_its_place(context, tmp_path):
    file = tmp_path / "pink.png"
    file.write_bytes(picture(COLOURS["pink"]))
    with serving(tmp_path) as server:
        file.unlink()
        with visiting(context, server) as visit:
            visit.open("/?q=pink")
            expect(visit.page.locator(".hit.missing .name")).to_have_text("pink.png")


@pytest.fixture
def empty_visit(context, tmp_path):
    with serving(tmp_path) as server, visiting(context, server) as visit:
        yield visit


def test_a_search_among_no_images_says_how_to_get_some(empty_visit):
    empty_visit.open()
    empty_visit.search("red")
    expect(empty_visit.page.get_by_role("alert")).to_contain_text("There are no images yet")
    expect(empty_visit.page.get_by_role("alert")).to_contain_text("sync")
