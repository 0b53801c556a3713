"""What is answered before the application is there: loading a model takes seconds, and converting it at a first start longer.

The port is open from the start, so that browsers, programs and load balancers are told to come again in a moment.
"""

from typing import Any, Final

from ml_api import tracing
from ml_api.api.problems import MEDIA_TYPE, RETRY_AFTER_S, body_of
from ml_api.api.schemas import AliveAnswer, ReadyAnswer
from ml_api.browsers import HEADERS
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

    def __init__(self, root_path: str) -> None:
        self.gateway: Gateway | None = None
        self._root = root_path.rstrip("/")
        self._bodies = Bodies(max_bytes=0)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self.gateway is not None:
            await self.gateway(scope, receive, send)
        elif scope["type"] == "http":
            await say(send, self._answer(scope), close=True)
            await self._bodies.read_on(receive)

    def _answer(self, scope: dict[str, Any]) -> Answer:
        headers = first_of_each(scope)
        request_id = tracing.accepted_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        match scope["path"].removeprefix(self._root):
            case path if path == LIVE:
                return _answer(200, _JSON, _ALIVE, request_id)
            case path if path == READY:
                return _answer(503, _JSON, _NOT_READY, request_id)
        if b"text/html" in headers.get(b"accept", b""):
            return _answer(503, "text/html; charset=utf-8", _PAGE, request_id)
        return _answer(503, MEDIA_TYPE, body_of(503, Starting.code, _DETAIL, request_id).model_dump_json(), request_id)


def _answer(status: int, media_type: str, text: str, request_id: str) -> Answer:
    body = f"{text.rstrip()}\n".encode()
    headers = {**HEADERS, "Content-Type": media_type, "Content-Length": str(len(body)), "X-Request-ID": request_id}
    if status == 503:
        headers |= {"Retry-After": str(RETRY_AFTER_S), "Cache-Control": "no-store"}
    return Answer(status, [(name.lower().encode(), value.encode()) for name, value in headers.items()], body)
