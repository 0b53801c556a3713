"""A collector of OpenTelemetry's traces on localhost, over HTTP with protobuf, which keeps what is posted."""

import gzip
import queue

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_httpserver import HTTPServer
from werkzeug import Response


class Collector(HTTPServer):
    """Use as a context; `spans` is a queue of (the sender's attributes, span)."""

    def __init__(self):
        super().__init__(host="127.0.0.1", threaded=True)
        self.spans = queue.Queue()
        self.expect_request("/v1/traces", method="POST").respond_with_handler(self._keep)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _keep(self, request):
        body = request.get_data()
        body = gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            sender = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put((sender, span))
        return Response(status=200)
