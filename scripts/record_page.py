"""Record the README's pictures of the search page: `make demo`, then `.venv/bin/python scripts/record_page.py [URL]`.

Needs the program chromium or chromium-headless-shell, and Playwright from requirements-dev.txt. Writes docs/images/page.webp,
phone.webp and search.webp.
"""  # noqa: INP001 - a program, in no package

import argparse
import base64
import io
import json
import re
import shutil
import urllib.parse
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
ANIMATION_WIDTH = 720
TEXT = "two dogs playing in the snow"
WITHOUT = "-snow"
DROPPED = "a train at night"
"""Its best hit is the image that is dropped on the page."""
TOLD = re.compile("likely match|closest to|most like")
"""What the page says of a search that has ended."""
SHOWN = """() => [...document.querySelectorAll(".hit img, .glimpse img")]
    .filter(image => image.checkVisibility() && image.getBoundingClientRect().top < innerHeight).every(image => image.complete)"""
"""Whether the images on the screen are there; those below it wait until they are scrolled to."""
HOLD = """base64 => {
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
    const held = new DataTransfer();
    held.items.add(new File([bytes], "picture.jpg", {type: "image/jpeg"}));
    return held;
}"""


class Film:
    """Frames of the page, each with the milliseconds that it stays."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[tuple[Image.Image, int]] = []

    def take(self, milliseconds: int) -> None:
        shot = Image.open(io.BytesIO(self._page.screenshot(animations="disabled"))).convert("RGB")
        height = round(shot.height * ANIMATION_WIDTH / shot.width)
        self._frames.append((shot.resize((ANIMATION_WIDTH, height), Image.Resampling.LANCZOS), milliseconds))

    def save(self, path: Path) -> None:
        (first, _), *rest = self._frames
        durations = [milliseconds for _, milliseconds in self._frames]
        others = [frame for frame, _ in rest]
        first.save(path, save_all=True, append_images=others, duration=durations, loop=0, quality=55, method=6)


def search(page: Page, film: Film) -> None:
    """Type the text, as a visitor does, and let the results appear."""
    box = page.get_by_role("searchbox")
    box.click()
    page.mouse.move(0, 0)  # a picture under the mouse shows its button
    film.take(800)
    for end in range(2, len(TEXT) + 2, 2):
        box.fill(TEXT[:end])
        film.take(90)
    film.take(300)
    box.press("Enter")
    settle(page)
    film.take(2500)


def sift(page: Page, film: Film) -> None:
    """Only some of what was found, and all again."""
    page.get_by_role("button", name="Filters").click()
    colours = page.get_by_role("group", name="Colours")
    expect(colours).to_be_visible()
    expect(page.get_by_text("Counted over")).to_be_visible()
    page.mouse.move(0, 0)
    film.take(1500)
    blue = colours.get_by_role("checkbox", name="blue")
    with page.expect_response(re.compile("/v1/search/text.*filter")):
        blue.check()
    page.mouse.move(0, 0)
    expect(page.locator(".hit .name").first).to_contain_text("blue")
    settle(page)
    keep(page, "page.webp")
    film.take(2500)
    page.get_by_role("button", name="Close the filters").click()
    with page.expect_response("**/v1/search/text*"):
        page.get_by_role("button", name="Remove the filter").click()
    settle(page)
    film.take(800)


def leave_out(page: Page, film: Film) -> None:
    """What is not wanted becomes a part of the search that can be changed."""
    box = page.get_by_role("searchbox")
    for end in range(1, len(WITHOUT) + 1):
        box.fill(TEXT.removesuffix("in the snow") + WITHOUT[:end])
        page.wait_for_function(SHOWN)
        film.take(110)
    box.press("Enter")
    expect(page.locator(".results .summary")).to_contain_text("\N{MINUS SIGN} snow")
    settle(page)
    film.take(2500)


def drop(page: Page, film: Film, picture: bytes) -> None:
    held = page.evaluate_handle(HOLD, base64.b64encode(picture).decode())
    page.dispatch_event("body", "dragover", {"dataTransfer": held})
    film.take(1300)
    page.dispatch_event("body", "drop", {"dataTransfer": held})
    expect(page.get_by_alt_text("Searching with picture.jpg")).to_be_visible()
    expect(page.locator(".results .summary")).to_contain_text("most like this one")
    settle(page)
    film.take(3000)


def settle(page: Page) -> None:
    """Until the results are there, with their thumbnails."""
    expect(page.locator(".results").get_by_role("status").first).to_contain_text(TOLD)
    page.wait_for_function(SHOWN)


def take_on_a_phone(browser: Browser, url: str) -> None:
    page = browser.new_page(**PHONE, color_scheme="dark", bypass_csp=True)
    page.goto(f"{url}/?q={urllib.parse.quote(TEXT)}")
    settle(page)
    keep(page, "phone.webp")


def keep(page: Page, name: str) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(IMAGES / name, quality=85, method=6)


def best_hit(url: str, text: str) -> bytes:
    page = urllib.parse.quote(text)
    with urllib.request.urlopen(f"{url}/v1/search/text?limit=1&q={page}", timeout=30) as answer:  # noqa: S310 - the given address
        [hit] = json.load(answer)["hits"]
    with urllib.request.urlopen(url + hit["links"]["content"], timeout=30) as answer:  # noqa: S310 - likewise
        return bytes(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the README's pictures of the search page, over a running demo.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8420", metavar="URL", help="default: %(default)s")
    url = parser.parse_args().url.rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-headless-shell"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light", bypass_csp=True)
        page.goto(url)
        film = Film(page)
        expect(page.locator(".glimpse img").first).to_be_visible()
        page.wait_for_function(SHOWN)
        film.take(1000)
        search(page, film)
        sift(page, film)
        leave_out(page, film)
        drop(page, film, best_hit(url, DROPPED))
        film.save(IMAGES / "search.webp")
        take_on_a_phone(browser, url)
        browser.close()


if __name__ == "__main__":
    main()
