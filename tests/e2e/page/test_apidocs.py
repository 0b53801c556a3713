"""Swagger UI, ours to the last request."""

import re

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting


def test_every_operation_is_listed_and_can_be_tried(visit):
    visit.open("/apidocs/")
    operation = visit.page.locator(".opblock", has_text="Find images by a description").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(operation.locator(".live-responses-table")).to_contain_text(re.compile(r"\d+ ms"))


def opened(visit, summary):
    """An operation, ready to be executed."""
    visit.open("/apidocs/")
    operation = visit.page.locator(".opblock", has_text=summary).first
    operation.locator(".opblock-summary-control").click()
    return operation


def first_folder(operation):
    """Of the first hit, after execution."""
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    [folder, *_] = re.findall(r'"key":\s*"(\w+)/', operation.locator(".live-responses-table").inner_text())
    return folder


def test_every_get_and_post_succeeds_as_it_stands(context, tmp_path):
    (tmp_path / "red.png").write_bytes(picture(COLOURS["red"]))
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])}
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/apidocs/")
        expect(visit.page.get_by_role("heading", name="Semantic image search")).to_be_visible()
        expect(visit.page.get_by_role("button", name="Authorize")).to_have_count(0)
        operations = visit.page.locator(".opblock-get, .opblock-post").all()
        assert len(operations) > 20
        for operation in operations:
            summary = operation.locator(".opblock-summary-control")
            summary.click()
            operation.get_by_role("button", name="Execute").wait_for()
            names = operation.get_by_label("Request content type").locator("option").all_inner_texts()
            for name in names or [""]:
                if len(names) > 1:
                    operation.get_by_label("Request content type").select_option(name)
                for field in operation.locator("input[type=file]").all():
                    field.set_input_files(file)
                operation.get_by_role("button", name="Execute").click()
                is_judged = operation.get_attribute("id").endswith("give_feedback")  # a hit of a search that was not made
                operation.locator(".live-responses-table tbody .response-col_status").wait_for()
                status = operation.locator(".live-responses-table tbody").inner_text()
                told = f"{operation.locator('.curl-command').inner_text()}\n{status}"
                assert status.startswith("404" if is_judged else ("200", "202")), told
                operation.get_by_role("button", name="Clear").click()
            summary.click()


def test_an_image_is_searched_for_in_json_as_the_example_stands(visit):
    operation = opened(visit, "Find images that look like the one sent")
    operation.get_by_label("Request content type").select_option("application/json")
    expect(operation.locator("textarea")).to_have_value(re.compile(r'^{\s*"image": "data:image/png;base64,'))
    assert first_folder(operation) == "red"


@pytest.mark.parametrize("before", [[], ["application/json"], ["application/json", "application/octet-stream"]])
def test_an_image_is_searched_for_in_a_form_whatever_was_chosen_before(visit, before):
    operation = opened(visit, "Find images that look like the one sent")
    for content_type in [*before, "multipart/form-data"]:
        operation.get_by_label("Request content type").select_option(content_type)
    green = {"name": "mine.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])}
    operation.locator("input[type=file]").set_input_files(green)
    assert first_folder(operation) == "green"


def test_an_image_is_searched_for_as_the_body(visit):
    operation = opened(visit, "Find images that look like the one sent")
    operation.get_by_label("Request content type").select_option("application/octet-stream")
    green = {"name": "mine.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])}
    operation.locator("input[type=file]").set_input_files(green)
    assert first_folder(operation) == "green"


def test_every_error_is_shown_as_it_is_answered(visit):
    operation = opened(visit, "Find images that look like the one sent")
    shown = operation.locator(".responses-table .response[data-code='422']")
    expect(shown).to_contain_text("The file looks like text; accepted are")
    shown.locator("select.examples-select-element").select_option("image-truncated")
    expect(shown).to_contain_text("it may have been cut off")
    expect(operation.locator(".responses-table .response[data-code='200']")).to_contain_text("snow/two-brown-dogs-0000.jpg")


def test_no_address_can_show_another_document_in_it(visit):
    visit.open("/apidocs/?url=http://127.0.0.1:9/evil.json&configUrl=http://127.0.0.1:9/evil.json")
    expect(visit.page.get_by_role("heading", name="Semantic image search")).to_be_visible()


def test_it_leads_back_to_the_search(visit):
    visit.open("/apidocs/")
    visit.page.get_by_role("link", name="Back to the search").click()
    visit.expect_address("/")


def test_it_is_dark_where_the_visitor_likes_it_dark(visit):
    visit.page.emulate_media(color_scheme="dark")
    visit.open("/apidocs/")
    expect(visit.page.locator("html")).to_have_class("dark-mode")
