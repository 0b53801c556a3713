"""Searching with an image of the visitor's own: chosen, dropped, pasted."""

import base64
import io
import os
from functools import cache

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import MAX_BYTES, picture

ORIENTATION = 0x0112
WHITE = (255, 255, 255)
GRAIN = 0.25
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
    visit.page.get_by_role("button", name="Remove the image from the search").click()
    visit.search("red")
    visit.expect_first("red")
    visit.page.go_back()
    visit.page.go_back()
    visit.expect_first("green")
    expect(visit.page.get_by_alt_text("Searching with mine.png")).to_be_visible()
    visit.page.go_back()
    expect(visit.hits).to_have_count(0)


def test_further_pages_send_the_image_again(visit):
    visit.open()
    choose(visit)
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)


def test_after_a_reload_the_page_says_that_the_image_is_gone(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    visit.page.reload()
    expect(visit.page.get_by_role("heading", name="That image is no longer at hand")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Search with a part of the image")).to_have_count(0)
    choose(visit)
    visit.expect_first("green")


def test_who_goes_to_the_plain_address_afterwards_comes_to_the_first_page(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    visit.open()
    expect(visit.page.get_by_role("heading", name="Find images by what they show")).to_be_visible()
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_an_image_that_is_too_large_is_refused_before_it_is_sent(visit):
    visit.open()
    choose(visit, b"\0" * (MAX_BYTES + 1))
    expect(visit.page.get_by_role("alert")).to_contain_text("That image is too large")
    expect(visit.page.get_by_role("alert")).to_contain_text("at most 100 KB are accepted")
    expect(visit.page.get_by_role("alert")).to_contain_text("The file mine.png: ")


def test_a_file_that_is_no_image_is_refused_with_the_reason(visit):
    visit.open()
    choose(visit, b"GIF89a, or so it says", "fake.gif")
    expect(visit.page.get_by_role("alert")).to_contain_text("That file cannot be read as an image")
    expect(visit.page.get_by_role("alert")).to_contain_text("The file fake.gif: It may be damaged")
    visit.page.get_by_role("alert").get_by_text("Details").click()
    expect(visit.page.get_by_role("alert").get_by_text("The GIF file is damaged")).to_be_visible()
    with visit.page.expect_file_chooser() as choosing:
        visit.page.get_by_role("button", name="Choose another image").click()
    choosing.value.set_files({"name": "mine.png", "mimeType": "image/png", "buffer": GREEN})
    visit.expect_first("green")
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_an_image_of_the_page_itself_dragged_about_does_not_search(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    held = visit.page.evaluate_handle(HELD_FILE, base64.b64encode(GREEN).decode())
    visit.page.dispatch_event(".hit img >> nth=0", "dragstart", {"dataTransfer": held})
    visit.page.dispatch_event("body", "dragover", {"dataTransfer": held})
    expect(visit.page.get_by_text("Drop it to find images like it")).to_be_hidden()


AS_IN_FIREFOX = "Object.defineProperty(OffscreenCanvasRenderingContext2D.prototype, 'imageSmoothingQuality', { set() {} })"
"""It has one quality: each pixel of a drawing is made of four."""


@cache
def photograph(orientation, size=(4032, 3024)):
    """Twelve megapixels with grain, green on the left and white on the right, stored on its side."""
    width, height = size
    plain = Image.new("RGB", size, WHITE)
    plain.paste(COLOURS["green"], (0, 0, width // 2, height))
    image = Image.blend(plain, Image.frombytes("RGB", size, os.urandom(width * height * 3)), GRAIN)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, exif=exif)
    assert 3_000_000 < len(file.getvalue()) < 12_000_000
    return file.getvalue()


def mean_at(image, point, radius=40):
    x, y = point
    return np.asarray(image.crop((x - radius, y - radius, x + radius, y + radius))).mean(axis=(0, 1))


def seen(colour):
    """What grain leaves of a colour."""
    return (1 - GRAIN) * np.asarray(colour) + GRAIN * 127.5


@pytest.mark.parametrize(
    ("orientation", "size", "green", "white"),
    [(1, (683, 512), (170, 256), (512, 256)), (6, (512, 683), (256, 170), (256, 512)), (8, (512, 683), (256, 512), (256, 170))],
)
def test_a_photograph_of_twelve_megapixels_is_shrunk_upright_before_it_is_sent(visit, orientation, size, green, white):
    """By halves: its grain goes, with which it would have 163 KB in Firefox."""
    visit.page.add_init_script(AS_IN_FIREFOX)
    visit.open()
    choose(visit, photograph(orientation), "IMG_0001.jpg")
    visit.expect_first("green")
    sent = visit.server.received[-1]
    assert len(sent) < MAX_BYTES
    image = Image.open(io.BytesIO(sent)).convert("RGB")
    assert image.size == size
    assert image.getexif().get(ORIENTATION, 1) == 1
    assert np.allclose(mean_at(image, green), seen(COLOURS["green"]), atol=6)
    assert np.allclose(mean_at(image, white), seen(WHITE), atol=6)


def test_what_is_transparent_is_white_as_on_the_server(visit):
    noise = Image.frombytes("RGBA", (900, 900), os.urandom(900 * 900 * 4))
    noise.putalpha(0)
    file = io.BytesIO()
    noise.save(file, "PNG")
    visit.open()
    choose(visit, file.getvalue())
    expect(visit.hits.first).to_be_visible()
    assert np.allclose(np.asarray(Image.open(io.BytesIO(visit.server.received[-1]))), 255, atol=1)


def test_a_small_image_is_sent_as_it_is(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    assert visit.server.received[-1] == GREEN
