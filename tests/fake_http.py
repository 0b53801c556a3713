"""A real HTTP server that answers as it is told and remembers what it was asked, in place of programs that cannot be had."""

import json
import re

from pytest_httpserver import HTTPServer
from werkzeug import Response


class FakeServer(HTTPServer):
    """`answer(request)` returns a status and a JSON body. Use as a context."""

    def __init__(self, answer):
        super().__init__(host="127.0.0.1", threaded=True)
        self._answer = answer
        self.expect_request(re.compile("")).respond_with_handler(self._respond)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self):
        """Every request so far."""
        return [request for request, _ in self.log]

    def thread_target(self):
        """To its end it is half a second at most otherwise."""
        self.server.serve_forever(poll_interval=0.01)

    def changes(self):
        """Method and path of every request that was not a GET."""
        return [(request.method, request.path) for request in self.asked if request.method != "GET"]

    def _respond(self, request):
        status, body = self._answer(request)
        return Response(json.dumps(body), status, content_type="application/json")
