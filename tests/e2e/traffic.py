"""Every kind of request that the dashboards tell apart, over and over, from threads of its own until the context ends."""

import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from tests.files.costly_images import interlaced_png

CALLERS = 3
BURST = 40
"""Requests at once, far more than a queue of one can hold."""
OVERLOAD_TIMEOUT_S = 60
PAUSE_S = 1.0
"""Of each caller between two rounds: without one, they would take all cores as long as a panel is waited for."""


class Traffic:
    """Use as a context over a `Server` whose limits are low: `queue_limit=1` and `max_upload_bytes=100_000`."""

    def __init__(self, server, image):
        self._server = server
        self._image = image.read_bytes()
        self._costly = interlaced_png()
        hit = server.json("/v1/search/text?q=a+boat&limit=1")["hits"][0]
        self._similar, self._content = hit["links"]["similar"], hit["links"]["content"]
        _, headers, _ = server.get(self._content)
        self._etag = headers["ETag"]
        self._numbers = count()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call_on) for _ in range(CALLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def overload(self):
        """Ever more searches at once than may wait, until one is refused."""
        deadline = time.monotonic() + OVERLOAD_TIMEOUT_S
        with ThreadPoolExecutor(BURST) as pool:
            while 503 not in {status for status, _, _ in pool.map(self._search, [f"a car {number}" for number in range(BURST)])}:
                assert time.monotonic() < deadline, "no search was refused"

    def _call_on(self):
        while not self._ended.wait(PAUSE_S):
            self._search(f"a red boat {next(self._numbers)}")
            self._search("two dogs in the snow")  # remembered
            self._server.post("/v1/search/image", self._image, "image/jpeg")
            self._server.get(self._similar)
            self._server.open(self._request(self._content, {"If-None-Match": self._etag}))
            self._go_wrong()

    def _go_wrong(self):
        """An error of each kind: 400, 403, 404, 413, 415, 422, 504."""
        self._server.open(self._request("/v1/sync", {"Sec-Fetch-Site": "cross-site"}, b""))
        self._server.get("/v1/search/text?q=")
        self._server.get("/nowhere")
        self._server.post("/v1/search/image", b"x" * 200_000, "image/png")
        self._server.post("/v1/search/image", b"text", "text/plain")
        self._server.post("/v1/search/image", self._image[:500], "image/jpeg")
        self._server.post("/v1/search/image", self._costly, "image/png")
        text = urllib.parse.quote(f"too late {next(self._numbers)}")
        self._server.open(self._request(f"/v1/search/text?q={text}", {"X-Request-Timeout": "0.000001"}))

    def _search(self, text):
        return self._server.get(f"/v1/search/text?q={urllib.parse.quote(text)}&limit=5")

    def _request(self, path, headers, data=None):
        return urllib.request.Request(urllib.parse.urljoin(self._server.url, path), data, headers)
