"""What is answered before the application is there, over a stand-in for the HTTP server."""

import asyncio
import json

import pytest

from ml_api.serving.starting import StartingApp
from tests import event_loop

SHOP = "https://shop.example.org"
PATIENCE_S = 20


async def silent():
    """A client that says no more."""
    await asyncio.Event().wait()


async def ended():
    return {"type": "http.request", "body": b""}


def asked(method, **headers):
    """The status, the headers and the body that a request gets."""
    sent = []

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/v1/search", "headers": named}
    event_loop.run(StartingApp("", frozenset({SHOP}))(scope, ended, send))
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def test_a_listed_page_can_ask_and_read_that_the_service_is_starting():
    status, headers, body = asked("OPTIONS", origin=SHOP, access_control_request_method="POST")
    assert (status, headers["access-control-allow-origin"], body) == (200, SHOP, b"")
    assert headers["access-control-allow-methods"] == "POST"
    assert "X-API-Key" in headers["access-control-allow-headers"]

    status, headers, body = asked("POST", origin=SHOP)
    assert (status, json.loads(body)["code"], headers["access-control-allow-origin"]) == (503, "starting", SHOP)
    assert "Retry-After" in headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_another_page_cannot(method):
    status, headers, _ = asked(method, origin="https://evil.example", access_control_request_method="POST")
    assert (status, headers["vary"]) == (503, "Origin")
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_stop_while_a_client_still_sends_is_no_error():
    async def scenario():
        is_told = asyncio.Event()

        async def send(message):
            if message["type"] == "http.response.body":
                is_told.set()

        scope = {"type": "http", "method": "POST", "path": "/v1/search", "headers": []}
        asking = asyncio.create_task(StartingApp("", frozenset())(scope, silent, send))
        await asyncio.wait_for(is_told.wait(), PATIENCE_S)
        asking.cancel()
        await asking

    event_loop.run(scenario())
