"""What is answered before the application is there: loading a model takes seconds, and converting it at a first start longer.

The port is open from the start, so that browsers, programs and load balancers are told to come again in a moment.
"""

import asyncio
from typing import Any, Final

from ml_api import tracing
from ml_api.api.problems import MEDIA_TYPE, RETRY_AFTER_S, body_of
from ml_api.api.schemas import AliveAnswer, ReadyAnswer
from ml_api.browsers import HEADERS, preflight_headers, sharing_headers
from ml_api.errors import Starting
from ml_api.serving.bodies import Bodies, Receive
from ml_api.serving.gateway import LIVE, READY, Gateway, Send, first_of_each, say
from ml_api.serving.wsgi import Answer

_JSON: Final = "application/json"
_ALIVE: Final = AliveAnswer().model_dump_json()
_NOT_READY: Final = ReadyAnswer(ready=False, parts=dict.fromkeys(("model", "store"), Starting.code)).model_dump_json()
_DETAIL: Final = "the service is starting: it loads its model and opens its index; try again in a moment"
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{RETRY_AFTER_S}">
<title>The search is starting</title>
<h1>The search is starting</h1>
<p>It loads its model and opens its index. This page comes again by itself until it is there.</p>
</html>
"""


class Entrance:
    """An ASGI application: that of `gateway`, once there is one. For one event loop."""

    def __init__(self, root_path: str, shared_with: frozenset[str]) -> None:
        """Pages of the origins in `shared_with` can read the answers."""
        self.gateway: Gateway | None = None
        self._shared_with = shared_with
        self._root = root_path.rstrip("/")
        self._bodies = Bodies(max_bytes=0)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self.gateway is not None:
            await self.gateway(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await say(send, self._answer(scope), close=True)
                await self._bodies.read_on(receive)
            except asyncio.CancelledError:
                pass  # as in the gateway

    def _answer(self, scope: dict[str, Any]) -> Answer:
        headers = first_of_each(scope)
        origin, asked, request_id = (
            headers.get(name, b"").decode("latin-1") for name in (b"origin", b"access-control-request-method", b"x-request-id")
        )
        more = {"X-Request-ID": tracing.accepted_id(request_id), **sharing_headers(origin, self._shared_with)}
        if scope["method"] == "OPTIONS" and asked and origin in self._shared_with:
            # Which methods a route has is not known yet. Refused here, the page would not get to read that the service starts.
            return _encoded(200, {**more, **preflight_headers(origin, asked, self._shared_with)}, b"")
        match scope["path"].removeprefix(self._root):
            case path if path == LIVE:
                return _answer(200, _JSON, _ALIVE, more)
            case path if path == READY:
                return _answer(503, _JSON, _NOT_READY, more)
        if b"text/html" in headers.get(b"accept", b""):
            return _answer(503, "text/html; charset=utf-8", _PAGE, more)
        problem = body_of(503, Starting.code, _DETAIL, more["X-Request-ID"])
        return _answer(503, MEDIA_TYPE, problem.model_dump_json(), more)


def _answer(status: int, media_type: str, text: str, more: dict[str, str]) -> Answer:
    headers = {**more, "Content-Type": media_type}
    if status == 503:
        headers |= {"Retry-After": str(RETRY_AFTER_S), "Cache-Control": "no-store"}
    return _encoded(status, headers, f"{text.rstrip()}\n".encode())


def _encoded(status: int, more: dict[str, str], body: bytes) -> Answer:
    headers = {**HEADERS, **more, "Content-Length": str(len(body))}
    return Answer(status, [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()], body)
