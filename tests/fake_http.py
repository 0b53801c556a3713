"""A real HTTP server that answers as it is told and remembers what it was asked, in place of programs that cannot be had."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict
    body: object


class FakeServer:
    """`answer(asked)` returns a status and a JSON body. Use as a context; `asked` lists every request."""

    def __init__(self, answer):
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self):
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, dict(self.headers), json.loads(content) if content else None)
                server.asked.append(asked)
                status, body = answer(asked)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815 - http.server's names

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def changes(self):
        """Method and path of every request that was not a GET."""
        return [(asked.method, asked.path) for asked in self.asked if asked.method != "GET"]
