"""Swagger UI, ours to the last request."""

import json
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


def test_every_body_that_is_posted_succeeds_as_it_stands(context, tmp_path):
    """That the document's examples work is tested without a browser; here, that Swagger UI sends bodies of each kind."""
    (tmp_path / "red.png").write_bytes(picture(COLOURS["red"]))
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])}
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/apidocs/")
        expect(visit.page.get_by_role("heading", name="Semantic image search")).to_be_visible()
        expect(visit.page.get_by_role("button", name="Authorize")).to_have_count(0)
        paths = visit.page.request.get(f"{server.url}/openapi.json").json()["paths"].values()
        documented = [path["post"] for path in paths if "requestBody" in path.get("post", ())]
        assert len(documented) > 7
        for one in documented:
            operation = visit.page.locator(f"#operations-{one['tags'][0]}-{one['operationId']}")
            operation.locator(".opblock-summary-control").click()
            bodies = one["requestBody"]["content"]
            for content_type, body in bodies.items():
                if len(bodies) > 1:
                    operation.get_by_label("Request content type").select_option(content_type)
                if "binary" in json.dumps(body["schema"].get("properties", body["schema"])):
                    operation.locator("input[type=file]").set_input_files(file)
                with visit.page.expect_response("**") as answered:
                    operation.get_by_role("button", name="Execute").click()
                answer = answered.value
                is_judged = one["operationId"] == "give_feedback"  # a hit of a search that was not made
                assert answer.status in ([404] if is_judged else [200, 202]), (
                    f"{answer.request.method} {answer.url}: {answer.text()}"
                )
                expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text(str(answer.status))
            operation.locator(".opblock-summary-control").click()


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
