"""A browser on the search page. Whatever a test does, the page must stay quiet and at home."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, expect, sync_playwright

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import PER_COLOUR, SCRIPT, SHOWN, Server, Visit, picture, serving, visiting
from tests.waiting import PATIENCE_S

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_MS = 1000 * PATIENCE_S


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """Thirty plain images, five of each colour, of three shapes; and one whose name and caption are an attack."""
    folder = tmp_path_factory.mktemp("corpus")
    for colour in SHOWN:
        for number in range(PER_COLOUR):
            file = folder / colour / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            shade = tuple(min(255, channel + 3 * number) for channel in COLOURS[colour])
            file.write_bytes(picture(shade, ((80, 60), (60, 60), (60, 80))[number % 3]))
    (folder / f"{SCRIPT}.png").write_bytes(picture(COLOURS["black"]))
    (folder / "metadata.jsonl").write_text(
        '{"key": "red/0.png", "caption": "the first red", "tags": ["warm", "plain"], "place": {"room": 12, "wall": null}}\n'
        f'{{"key": "{SCRIPT}.png", "caption": "{SCRIPT}", "note": "{SCRIPT}"}}\n'
    )
    with serving(folder) as server:
        yield server


@pytest.fixture
def server(shared_server):
    yield shared_server
    shared_server.model.is_broken = False
    shared_server.model.may_go_on.clear()


def launched(kind: BrowserType, *flags: str) -> Browser:
    """The headless shell draws nothing that nobody sees: a visit takes half of chromium's processor time."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        reason = "these tests need the program chromium-headless-shell or chromium (Debian packages)"
        pytest.fail(f'{reason}; `-m "not browser"` leaves them out', pytrace=False)
    return kind.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="session")
def browser():
    expect.set_options(timeout=PATIENCE_MS)  # in place of 5 s
    with sync_playwright() as playwright:
        browser = launched(playwright.chromium)
        yield browser
        browser.close()


@pytest.fixture
def context_options():
    """Parametrise to visit with another device."""
    return {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture
def context(browser: Browser, context_options) -> Iterator[BrowserContext]:
    context = browser.new_context(**context_options)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def visit(context: BrowserContext, server: Server) -> Iterator[Visit]:
    with visiting(context, server) as visit:
        yield visit
