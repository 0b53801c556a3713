"""Swagger UI, ours to the last request."""

import re

from playwright.sync_api import expect


def test_every_operation_is_listed_and_can_be_tried(visit):
    visit.open("/apidocs/")
    operation = visit.page.locator(".opblock", has_text="Find images by a description").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(operation.locator(".live-responses-table")).to_contain_text(re.compile(r"\d+ ms"))


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
