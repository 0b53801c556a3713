"""The webhook of the local Alertmanager, which prints each alert as a line."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

LONGEST_BODY = 1_000_000
WATCHDOG = "watchdog"


class Webhook:
    """A receiver on 127.0.0.1 of what Alertmanager posts to /page, /ticket and /watchdog. Use as a context.

    `hear` is called with the receiver's name and the message, as documented under "webhook_config" by Alertmanager, from a thread
    of the server.
    """

    def __init__(self, hear: Callable[[str, dict[str, Any]], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                if length > LONGEST_BODY:
                    self.send_error(413)
                    return
                hear(self.path.strip("/"), json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody needs a line about the line."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def lines(receiver: str, message: dict[str, Any]) -> list[str]:
    """One line an alert; none of the watchdog, which has nothing to say as long as it says it."""
    if receiver == WATCHDOG:
        return []
    return [
        f"{receiver}: {alert['labels']['alertname']} {alert['status']}: {alert['annotations'].get('summary', '')}"
        f" ({alert['annotations'].get('runbook_url', 'no runbook')})"
        for alert in message["alerts"]
    ]
