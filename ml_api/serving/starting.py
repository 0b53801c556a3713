"""Answers requests while the service starts: loading a model takes seconds, and converting it at the first start longer.

The port is open from the start, so that browsers, programs and load balancers are told to retry.
"""

import asyncio
from typing import Final

from ml_api import tracing
from ml_api.api.problems import MEDIA_TYPE, RETRY_AFTER_S, body_of
from ml_api.api.schemas import AliveAnswer, ReadyAnswer
from ml_api.browsers import HEADERS, preflight_headers, sharing_headers
from ml_api.errors import Starting
from ml_api.serving.asgi import Answer, Receive, RequestHeaders, Scope, Send, send_answer
from ml_api.serving.bodies import Bodies
from ml_api.serving.gateway import LIVE, READY, Gateway

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


class StartingApp:
    """An ASGI application that answers 503 until `gateway` is set, and then calls that. For one event loop."""

    def __init__(self, root_path: str, shared_with: frozenset[str]) -> None:
        """Pages of the origins in `shared_with` can read the answers."""
        self.gateway: Gateway | None = None
        self._shared_with = shared_with
        self._root = root_path.rstrip("/")
        self._bodies = Bodies(max_bytes=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.gateway is not None:
            await self.gateway(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await send_answer(send, self._answer(scope), close=True)
                await self._bodies.read_on(receive)
            except asyncio.CancelledError:
                pass  # as in the gateway

    def _answer(self, scope: Scope) -> Answer:
        headers = RequestHeaders(scope)
        origin, asked = headers.get("origin"), headers.get("access-control-request-method")
        more = {"X-Request-ID": tracing.accepted_id(headers.get("x-request-id")), **sharing_headers(origin, self._shared_with)}
        if scope["method"] == "OPTIONS" and asked and origin in self._shared_with:
            # Which methods a route has is not known yet. Refused here, the page would not get to read that the service starts.
            return Answer.whole(200, {**HEADERS, **more, **preflight_headers(origin, asked, self._shared_with)}, b"")
        match scope["path"].removeprefix(self._root):
            case path if path == LIVE:
                return _answer(200, _JSON, _ALIVE, more)
            case path if path == READY:
                return _answer(503, _JSON, _NOT_READY, more)
        if "text/html" in headers.get("accept"):
            return _answer(503, "text/html; charset=utf-8", _PAGE, more)
        problem = body_of(503, Starting.code, _DETAIL, more["X-Request-ID"])
        return _answer(503, MEDIA_TYPE, problem.model_dump_json(), more)


def _answer(status: int, media_type: str, text: str, more: dict[str, str]) -> Answer:
    headers = {**HEADERS, **more, "Content-Type": media_type}
    if status == 503:
        headers |= {"Retry-After": str(RETRY_AFTER_S), "Cache-Control": "no-store"}
    return Answer.whole(status, headers, f"{text.rstrip()}\n".encode())
