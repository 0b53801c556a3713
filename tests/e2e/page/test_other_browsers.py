"""The page's main job in Firefox, and in WebKit for Safari; and what only they showed. All else is tested in Chromium."""

import pytest

from tests.servers.browsers import ESCAPE, firefox, webkit
from tests.waiting import wait_until

WATCH = """
    window.complaints = [];
    addEventListener("error", ({ message }) => complaints.push(message));
    addEventListener("unhandledrejection", ({ reason }) => complaints.push(String(reason)));
    addEventListener("securitypolicyviolation", ({ blockedURI }) => complaints.push(blockedURI));
"""
DROP_GREEN = """
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
    const context = canvas.getContext("2d");
    context.fillStyle = arguments[0];
    context.fillRect(0, 0, 64, 64);
    canvas.toBlob(blob => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([blob], "mine.png", { type: "image/png" }));
        for (const name of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
    });
"""
STARTED = "return document.body?.classList.contains('may-write') === true"
"""The scripts have run, and what only some may do is offered: WebKit is done with the page before."""
HITS = "return document.querySelectorAll('.hit:not(.skeleton)').length"
FIRST = "return document.querySelector('.hit:not(.skeleton) .name')?.textContent"


@pytest.fixture(scope="module", params=[firefox, webkit])
def other(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("browser")) as browser:
        browser.resize(1280, 800)
        yield browser


def height_of(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).offsetHeight", selector)


def test_one_searches_selects_leaves_and_comes_back_filters_and_brings_an_image(other, server):
    other.open(server.url)
    wait_until(lambda: other.run(STARTED))
    other.click("#q")
    other.press("red")
    wait_until(lambda: other.run(HITS) == 24)
    assert "red" in other.run(FIRST)

    other.open(f"{server.url}/?q=red&copies=apart")
    wait_until(lambda: other.run(STARTED) and other.run(HITS) == 24)
    other.run(WATCH)
    other.click(".start-selecting")
    other.click(".pick", 1)
    other.click(".pick", 5, shift=True)
    wait_until(lambda: other.run("return document.querySelector('.selection .chosen').textContent") == "5 images selected")
    other.click(".selection .delete")
    assert 0 < height_of(other, ".confirm") < 300  # WebKit had made it as high as the window
    other.press(ESCAPE)

    other.run("scrollTo(0, 500)")
    wait_until(lambda: other.run("return history.state?.y") == 500)
    other.open(f"{server.url}/apidocs/")
    other.back()
    wait_until(lambda: other.run("return scrollY") == 500)

    other.resize(400, 800)
    other.click(".start-filtering")
    wait_until(lambda: other.run("return document.querySelectorAll('.fields details').length") > 4)
    assert height_of(other, ".fields") > 100  # in WebKit it had been 0
    other.press(ESCAPE)
    other.run(DROP_GREEN, "rgb(0, 128, 0)")
    wait_until(lambda: "green" in (other.run(FIRST) or ""))
    assert other.run("return complaints ?? []") == []
