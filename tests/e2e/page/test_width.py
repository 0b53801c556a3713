"""On a phone, nothing that people call their images or search for makes the page wider than the screen."""

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import picture, serving, visiting

WIDTH = 390
PHONE = {"viewport": {"width": WIDTH, "height": 844}, "has_touch": True, "is_mobile": True}
SENTENCE = "a very long description of two yellow dogs and a red house in the snow by night"
WORD = 90 * "x"
KEY, OTHER = f"{WORD}.png", f"{WORD}/f47ac10b-58cc-4372-a567-0e02b2c3d479.png"
SEARCHES = {
    "sentence": f"/?q={quote(SENTENCE)}",
    "word": f"/?q={WORD}",
    "terms": f"/?q={WORD}&q={WORD}2&like={image_id(KEY)}&w=1,-0.5,1",
    "large": f"/?q=red&image={image_id(KEY)}",
    "listing": "/?view=images",
    "filtered": f'/?q={quote(SENTENCE)}&filter={{"tags":{{"any":["{WORD}"]}}}}',
    "nothing passes": f'/?filter={{"tags":{{"any":["{WORD}2"]}}}}',
    "duplicates": "/?view=duplicates",
}
SHOWN = ".hit:not(.skeleton), .groups li, [role=alert]"
SIDEWAYS = """() => [...document.querySelectorAll("body, body *")].filter(one => one.checkVisibility() && !one.matches(".terms"))
    .filter(one => one.scrollWidth > one.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(one).overflowX))
    .map(one => one.outerHTML.slice(0, 120))"""
"""What can be scrolled sideways, but the chips, which are meant to be."""


@pytest.fixture(scope="module")
def wordy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordy")
    for key in (KEY, OTHER):
        file = folder / key
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture(COLOURS["red"]))
    (folder / "metadata.jsonl").write_text(json.dumps({"key": KEY, "caption": WORD, WORD[:60]: WORD, "tags": [WORD, "b"]}))
    with serving(folder) as server:
        yield server


@pytest.fixture
def visit(context, wordy):
    with visiting(context, wordy) as visit:
        yield visit


def expect_to_fit(visit):
    assert visit.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [WIDTH, WIDTH]
    assert visit.page.evaluate(SIDEWAYS) == []


@pytest.mark.parametrize("context_options", [PHONE])
@pytest.mark.parametrize("address", SEARCHES.values(), ids=SEARCHES)
def test_what_is_found_fits_on_a_phone(visit, address):
    visit.open(address)
    expect(visit.page.locator(SHOWN).locator("visible=true").first).to_be_visible()
    expect_to_fit(visit)


@pytest.mark.parametrize("context_options", [PHONE])
def test_what_lies_over_it_fits_too(visit):
    visit.open(SEARCHES["sentence"])
    visit.page.get_by_role("button", name="Filters").click()
    expect(visit.page.get_by_role("checkbox", name=WORD).first).to_be_visible()
    expect_to_fit(visit)
    visit.page.get_by_role("button", name="Close the filters").click()
    visit.page.get_by_role("button", name="Add images").click()
    visit.page.locator(".uploads input[type=file]").set_input_files([{"name": WORD, "mimeType": "text/plain", "buffer": b"no"}])
    expect(visit.page.get_by_text("0 of 1 added, 1 not")).to_be_visible()
    expect_to_fit(visit)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("snow/two-dogs-0001.jpg", ["snow/", "two-", "dogs-", "0001.jpg"]),
        ("photograph_1.jpeg", ["photograph_", "1.jpeg"]),
        ("long_photograph.png", ["long_", "photograph.", "png"]),
        ("dog", ["dog"]),
    ],
)
def test_names_are_broken_between_their_words_and_an_ending_stays_with_a_short_one(visit, name, parts):
    visit.open("/")
    broken = (
        "name => import('/static/element.js').then(({ breakable }) => breakable(name).filter(part => typeof part === 'string'))"
    )
    assert visit.page.evaluate(broken, name) == parts
