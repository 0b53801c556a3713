"""What the tests of the page share: a server over stand-ins, a watch over the browser, short words for what visitors do."""

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request
from multipart import MultipartParser
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Response, expect
from werkzeug.serving import make_server

from ml_api.access import Access
from ml_api.app import create_app
from ml_api.embedding.base import Prepared
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import ModelUnavailable
from ml_api.images import ImageLimits
from ml_api.settings import load_settings
from tests.stand_ins import stand_in_services

MAX_BYTES = 100_000
PER_COLOUR = 5
SHOWN = ("red", "green", "blue", "yellow", "purple", "pink")
SCRIPT = "<img src=x onerror=document.title='taken'>"


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (80, 60)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


class MoodyPreprocessor(FakePreprocessor):
    """Fails and dawdles when asked to, in the model's name."""

    def __init__(self) -> None:
        self.is_broken = False
        self.may_go_on = threading.Event()

    def prepare_text(self, text: str) -> Prepared:
        if self.is_broken:
            raise ModelUnavailable("the model is having a rest")
        if "slow" in text:
            self.may_go_on.wait(timeout=60)
        return super().prepare_text(text)


@dataclass
class Server:
    url: str
    model: MoodyPreprocessor
    corpus: Path
    received: list[bytes]
    """The images that visitors sent."""
    access: Access | None = None


def read_out(app: WSGIApplication) -> WSGIApplication:
    """The application, whose answers are read to their end and closed before they are sent.

    Werkzeug's development server forgets to close an answer (and so its file) whose visitor hangs up while it is sent, as a browser
    does that leaves a page; the server of the real thing, does not.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        with closing(app(environ, start_response)) as body:
            return [b"".join(body)]

    return answer


def listening_in(app: Flask, received: list[bytes]) -> WSGIApplication:
    """The application, before which every image that comes in a form is kept."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.mimetype == "multipart/form-data":
            body = request.get_data(cache=False)
            boundary = request.mimetype_params["boundary"]
            received.extend(part.raw for part in MultipartParser(io.BytesIO(body), boundary, spool_limit=2**24, memory_limit=2**24))
            environ["wsgi.input"] = io.BytesIO(body)
        return app.wsgi_app(environ, start_response)

    return answer


@contextmanager
def serving(folder: Path, access: Access | None = None, **settings: str) -> Iterator[Server]:
    """The application in a thread, over all images below `folder`. `settings` are variables without their prefix."""
    model, limits = MoodyPreprocessor(), ImageLimits(MAX_BYTES, 1_000_000, 20)
    services = stand_in_services(
        folder, folder / ".thumbnails", limits, FakeEncoder(name="demo model"), preprocessor=model, access=access
    )
    given = {"max_upload_bytes": str(MAX_BYTES)} | settings
    app = create_app(load_settings({f"ML_API_{name.upper()}": value for name, value in given.items()}), services)
    received: list[bytes] = []
    server = make_server("127.0.0.1", 0, read_out(listening_in(app, received)), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.port}", model, folder, received, access)
    finally:
        model.may_go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
        services.close()


@dataclass
class Watch:
    """What no test may cause: a complaint of the browser, a request to elsewhere, a part of the page that does not load."""

    origin: str
    complaints: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("request", lambda request: self._request(request.url))
        page.on("response", self._response)

    def _console(self, kind: str, text: str) -> None:
        is_expected = text.startswith("Failed to load resource")  # the API's errors, which tests provoke; others see `_response`
        if kind in {"error", "warning"} and not is_expected:
            self.complaints.append(f"{kind}: {text}")

    def _request(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.complaints.append(f"asked for {url}")
        if "undefined" in url:
            self.complaints.append(f"asked for what it does not know: {url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not urlsplit(response.url).path.startswith(("/v1/", "/session")):
            self.complaints.append(f"{response.status} for {response.url}")


@dataclass
class Visit:
    """One page of one browser, and short words for what most tests do."""

    page: Page
    server: Server

    def open(self, address: str = "/") -> None:
        self.page.goto(self.server.url + address)

    def search(self, text: str) -> None:
        self.page.get_by_role("searchbox").fill(text)
        self.page.get_by_role("searchbox").press("Enter")

    def scroll_to_end(self) -> None:
        expect(self.hits.first).to_be_visible()
        self.page.evaluate("scrollTo(0, document.body.scrollHeight)")

    def expect_address(self, address: str) -> None:
        expect(self.page).to_have_url(self.server.url + address)

    def expect_first(self, name: str) -> None:
        expect(self.page.locator(".hit .name").first).to_contain_text(name)

    @property
    def hits(self):
        return self.page.locator(".hit:not(.skeleton)")

    @property
    def dialog(self):
        return self.page.get_by_role("dialog")

    @property
    def status(self):
        return self.page.get_by_role("status")


@contextmanager
def visiting(context: BrowserContext, server: Server) -> Iterator[Visit]:
    watch = Watch(server.url)
    page = context.new_page()
    watch.over(page)
    try:
        yield Visit(page, server)
    finally:
        page.unroute_all(behavior="ignoreErrors")  # else an answer that is still changed here fails the next test
    assert watch.complaints == []
