"""Searching with an image of the visitor's own: chosen, dropped, pasted."""

import base64

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import MAX_BYTES, picture

GREEN = picture(COLOURS["green"])

HELD_FILE = """base64 => {
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
    const held = new DataTransfer();
    held.items.add(new File([bytes], "mine.png", {type: "image/png"}));
    return held;
}"""
PASTE = "held => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true}))"


def choose(visit, content=GREEN, name="mine.png"):
    with visit.page.expect_file_chooser() as choosing:
        visit.page.get_by_role("button", name="Search with an image").click()
    choosing.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})


def drop(visit):
    held = visit.page.evaluate_handle(HELD_FILE, base64.b64encode(GREEN).decode())
    visit.page.dispatch_event("body", "dragover", {"dataTransfer": held})
    expect(visit.page.get_by_text("Drop it to find images like it")).to_be_visible()
    visit.page.dispatch_event("body", "drop", {"dataTransfer": held})
    expect(visit.page.get_by_text("Drop it to find images like it")).to_be_hidden()


def paste(visit):
    visit.page.evaluate(PASTE, visit.page.evaluate_handle(HELD_FILE, base64.b64encode(GREEN).decode()))


@pytest.mark.parametrize("bring", [choose, drop, paste])
def test_an_image_of_ones_own_finds_images_like_it(visit, bring):
    visit.open()
    bring(visit)
    visit.expect_first("green")
    expect(visit.page.get_by_alt_text("Searching with mine.png")).to_be_visible()
    expect(visit.status).to_contain_text("a search with your own image has no link to share")
    visit.expect_address("/")


def test_back_and_forward_keep_the_image(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    visit.search("red")
    visit.expect_first("red")
    visit.page.go_back()
    visit.expect_first("green")
    expect(visit.page.get_by_alt_text("Searching with mine.png")).to_be_visible()
    visit.page.go_back()
    expect(visit.hits).to_have_count(0)


def test_show_more_sends_the_image_again(visit):
    visit.open()
    choose(visit)
    visit.page.get_by_role("button", name="Show more").click()
    expect(visit.hits).to_have_count(31)


def test_after_a_reload_the_page_says_that_the_image_is_gone(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    visit.page.reload()
    expect(visit.page.get_by_role("heading", name="That image is no longer at hand")).to_be_visible()
    choose(visit)
    visit.expect_first("green")


def test_an_image_that_is_too_large_is_refused_before_it_is_sent(visit):
    visit.open()
    choose(visit, b"\0" * (MAX_BYTES + 1))
    expect(visit.page.get_by_role("alert")).to_contain_text("That image is too large")
    expect(visit.page.get_by_role("alert")).to_contain_text("at most 0.1 MB are accepted")


def test_a_file_that_is_no_image_is_refused_with_the_reason(visit):
    visit.open()
    choose(visit, b"GIF89a, or so it says", "fake.gif")
    expect(visit.page.get_by_role("alert")).to_contain_text("That file cannot be read as an image")
    expect(visit.page.get_by_role("alert")).to_contain_text("GIF")


def test_an_image_of_the_page_itself_dragged_about_does_not_search(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    held = visit.page.evaluate_handle(HELD_FILE, base64.b64encode(GREEN).decode())
    visit.page.dispatch_event(".hit img >> nth=0", "dragstart", {"dataTransfer": held})
    visit.page.dispatch_event("body", "dragover", {"dataTransfer": held})
    expect(visit.page.get_by_text("Drop it to find images like it")).to_be_hidden()
