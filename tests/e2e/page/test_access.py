"""For every screen, every reader, every taste; and nobody's text becomes code."""

import json

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import SCRIPT, picture, serving, visiting

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
TABLET = {"viewport": {"width": 768, "height": 1024}, "has_touch": True}

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNNAMED = """() => [...document.querySelectorAll("button, a[href], input, img")]
    .filter(one => one.checkVisibility({visibilityProperty: true}) && !one.closest("[aria-hidden=true]"))
    .filter(one => !(one.ariaLabel || one.textContent.trim() || one.hasAttribute("alt") || one.labels?.length
        || one.querySelector("img[alt]:not([alt=''])")))
    .map(one => one.outerHTML)"""
CONTRASTS = """() => {
    const style = getComputedStyle(document.documentElement);
    const light = name => {
        const channels = style.getPropertyValue(name).match(/[0-9a-f]{2}/g).map(hex => parseInt(hex, 16) / 255);
        const [r, g, b] = channels.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const pairs = [
        ["--ink", "--paper"], ["--ink", "--sunken"], ["--ink", "--raised"],
        ["--quiet", "--paper"], ["--quiet", "--sunken"], ["--quiet", "--raised"],
        ["--accent", "--paper"], ["--on-accent", "--accent"], ["--on-accent", "--accent-strong"], ["--accent-strong", "--tint"],
    ];
    return pairs.map(([text, ground]) => {
        const [low, high] = [light(text), light(ground)].sort((a, b) => a - b);
        return [text + " on " + ground, (high + 0.05) / (low + 0.05)];
    });
}"""


BROKEN = """() => [...document.querySelectorAll(".hit .name")].flatMap(name => {
    const texts = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
    const broken = [];
    while (texts.nextNode()) {
        for (const word of texts.currentNode.data.matchAll(/[^\\s\\/_.-]+/g)) {
            const range = new Range();
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map(line => line.top)).size > 1) {
                broken.push(word[0]);
            }
        }
    }
    return broken;
})"""
"""Words of captions that stand in more than one line."""


@pytest.mark.parametrize("context_options", [PHONE, TABLET], ids=["phone", "tablet"])
def test_captions_are_broken_between_words(context, tmp_path):
    """Beside the number, narrow pictures left them room for a letter or two in a line."""
    names = [f"holidays_of_mushrooms/IMG_2026010{number}_photograph.png" for number in range(8)]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture((200 + number, 0, 0), (60, 120)))
    rows = [{"key": name, "caption": "two yellow mushrooms in the snow"} for name in names[:4]]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red&copies=apart")
        expect(visit.hits).to_have_count(8)
        assert visit.page.evaluate(BROKEN) == []


@pytest.mark.parametrize("context_options", [PHONE, TABLET], ids=["phone", "tablet"])
@pytest.mark.parametrize("address", ["/", "/?q=red", f"/?q=black&image={image_id(f'{SCRIPT}.png')}", "/?q=" + "x" * 1001])
def test_no_screen_scrolls_sideways(visit, address):
    visit.open(address)
    visit.page.wait_for_load_state("networkidle")
    assert visit.page.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize("context_options", [PHONE], ids=["phone"])
def test_a_thumb_reaches_more_like_this_without_hovering(visit):
    visit.open("/?q=red")
    like = visit.hits.first.get_by_role("link", name="More like this")
    expect(like).to_have_css("opacity", "1")
    assert min(like.bounding_box()["width"], like.bounding_box()["height"]) >= 36
    like.tap()
    visit.page.wait_for_url("**/?like=*")


@pytest.mark.parametrize("context_options", [PHONE], ids=["phone"])
def test_a_phone_searches_with_its_camera(visit):
    visit.open()
    with visit.page.expect_file_chooser() as choosing:
        visit.page.get_by_role("button", name="Search with the camera").tap()
    assert choosing.value.element.get_attribute("capture") == "environment"
    choosing.value.set_files({"name": "taken.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])})
    visit.expect_first("green")


@pytest.mark.parametrize("context_options", [PHONE], ids=["phone"])
def test_the_way_home_has_its_name_on_a_phone_too(visit):
    visit.open("/?q=red")
    visit.page.get_by_role("link", name="Image search").tap()
    visit.expect_address("/")


def test_no_two_links_of_hits_have_the_same_name(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    names = visit.page.locator(".hit a, .hit button:not([hidden])").evaluate_all(
        "all => all.map(one => one.ariaLabel ?? one.querySelector('img').alt)"
    )
    assert len(names) == len(set(names)) >= 24 * 3


def test_the_large_view_announces_the_next_image(visit):
    visit.open(f"/?q=red&image={image_id('red/0.png')}")
    announced = visit.dialog.get_by_role("status")
    expect(announced).to_contain_text("the first red")
    expect(announced).to_contain_text("of 24")
    visit.page.keyboard.press("ArrowRight")
    expect(announced).not_to_contain_text("the first red")
    expect(announced).to_contain_text("of 24")


def test_the_page_has_landmarks_and_one_heading_in_every_view(visit):
    for address in ("/", "/?q=red"):
        visit.open(address)
        for role in ("banner", "main", "search", "contentinfo", "navigation"):
            expect(visit.page.get_by_role(role)).to_have_count(1)
        expect(visit.page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("address", ["/", "/?q=red", f"/?q=red&image={image_id('red/0.png')}"])
def test_everything_that_can_be_used_has_a_name(visit, address):
    visit.open(address)
    visit.page.wait_for_load_state("networkidle")
    assert visit.page.evaluate(UNNAMED) == []


def test_hits_are_described_by_their_captions_else_their_keys(visit):
    visit.open("/?q=red")
    expect(visit.page.get_by_alt_text("the first red")).to_be_visible()
    expect(visit.page.get_by_alt_text("red/1.png")).to_be_visible()


def test_names_of_fields_are_shown_as_text(context, tmp_path):
    """In the filter panel, its chips and counts, and the facts of an image."""
    name_of_field = "<img src=x onerror=alert(1)>"
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture(COLOURS["red"]))
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"key": "a.png", name_of_field: SCRIPT}))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red&copies=apart")
        visit.page.get_by_role("button", name="Filters").click()
        chosen = visit.page.get_by_role("dialog", name="Filters").get_by_role("group", name=name_of_field).get_by_label(SCRIPT)
        chosen.check()
        expect(visit.page.get_by_role("list", name="Also part of this search")).to_contain_text(f"{name_of_field} is {SCRIPT}")
        expect(visit.hits).to_have_count(1)
        visit.page.locator(".open").first.click()
        large = visit.page.get_by_role("dialog", name="a.png")
        expect(large.locator("dt", has_text=name_of_field)).to_be_visible()
        expect(visit.page).to_have_title("a.png \N{MIDDLE DOT} Image search")


def test_texts_of_others_are_shown_as_text(visit):
    visit.open("/?q=black")
    visit.expect_first(SCRIPT)
    visit.page.locator(".open").first.click()
    expect(visit.dialog).to_have_accessible_name(SCRIPT)
    expect(visit.dialog.get_by_text(f"{SCRIPT}.png", exact=True)).to_be_visible()
    expect(visit.dialog.locator("dd", has_text=SCRIPT)).to_be_visible()
    expect(visit.page).to_have_title(f"{SCRIPT} · Image search")
    visit.open(f"/?q={SCRIPT}")
    expect(visit.status).to_contain_text(SCRIPT)
    expect(visit.page).to_have_title(f"{SCRIPT} · Image search")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    visit.open()
    faint = {pair: round(contrast, 2) for pair, contrast in visit.page.evaluate(CONTRASTS) if contrast < 4.5}
    assert faint == {}, "below 4.5, the least that WCAG 2.2 asks of text"


def test_nothing_moves_for_those_who_asked_for_rest(visit):
    visit.page.emulate_media(reduced_motion="reduce")
    visit.open()
    visit.search("slow red")
    expect(visit.page.locator(".skeleton").first).to_have_css("animation-name", "none")
    expect(visit.page.locator(".box")).to_have_css("transition-duration", "0s")
