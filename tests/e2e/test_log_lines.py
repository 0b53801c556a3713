"""Every line that the real programs write fits the index template: what does not, Elasticsearch would refuse."""

import http.client
import json
import resource
import socket
import urllib.parse
import urllib.request

import pytest

from ml_api.logs import FIELDS
from tests.e2e.server_process import Server
from tests.index_template import load_template, objections, types_of

TYPES = types_of(load_template())
ODD_QUERY = "línea\nnueva\t\u2028 \x00 \U0001f600"


def raw(server, request):
    """Send bytes that are no proper request, and read what comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def ask_everything(server, picture):
    """Requests of every kind, well and badly formed."""
    hit = server.json("/v1/search/text?q=two+dogs")["hits"][0]
    for path in (
        hit["links"]["similar"],
        hit["links"]["thumbnail"],
        hit["links"]["content"],
        "/",
        "/openapi.json",
        "/v1/stats",
        "/readyz",
    ):
        assert server.get(path)[0] == 200
    assert server.post("/v1/search/image", picture, "image/jpeg")[0] == 200
    batch = {"queries": [{"query": [{"text": "two dogs"}, {"text": "snow", "weight": -0.5}]}]}
    assert server.post("/v1/search/batch", json.dumps(batch).encode(), "application/json")[0] == 200
    assert server.get(f"/v1/search/text?{urllib.parse.urlencode({'q': ODD_QUERY})}")[0] == 200
    assert server.get("/v1/search/text")[0] == 400
    assert server.get("/no/such/%0Apath")[0] == 404
    assert server.post("/v1/search/image", b"no image", "image/png")[0] == 422
    assert server.post("/v1/search/image", b"x" * 50_000_000, "image/png")[0] == 413
    assert server.post("/v1/search/image", b"x", "application/x-tar")[0] == 415
    assert server.open(urllib.request.Request(f"{server.url}/v1/stats", method="DELETE"))[0] == 405
    late = urllib.request.Request(f"{server.url}/v1/search/text?q=late", headers={"X-Request-Timeout": "0.000001"})
    assert server.open(late)[0] == 504
    odd = {"X-Request-ID": "no id: {}", "traceparent": "nonsense", "User-Agent": "odd\xe9" + "x" * 1000}
    assert server.open(urllib.request.Request(f"{server.url}/v1/model", headers=odd))[0] == 200
    for request in (b"NONSENSE\r\n\r\n", b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
        raw(server, request)


@pytest.fixture(scope="module")
def lines(demo_corpus, tmp_path_factory):
    """What a sync with a broken file, a server under all kinds of requests, and its start and end wrote."""
    folder = tmp_path_factory.mktemp("lines")
    corpus = folder / "corpus"
    corpus.mkdir()
    pictures = sorted(demo_corpus.rglob("*.jpg"))[:12]
    for number, picture in enumerate(pictures):
        (corpus / f"{number}.jpg").write_bytes(picture.read_bytes())
    (corpus / "broken.jpg").write_bytes(pictures[0].read_bytes()[:300])
    (corpus / "metadata.jsonl").write_text('{"key": "0.jpg", "price": 3}\nno json\n')
    server = Server(folder, corpus, log_level="debug", log_queries="yes", environment="tests")
    written = server.sync()
    with server:
        ask_everything(server, pictures[0].read_bytes())
        run_out_of_files(server)
    text = written.stderr + server.log()
    return [json.loads(line) for line in text.splitlines()]


def run_out_of_files(server):
    """An error that nobody foresaw: the process may open no more files. One connection is open already."""
    pid = server.process.pid
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/livez")
    connection.getresponse().read()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # The three standard streams and no more. Not 0: poll() refuses to watch more files than the limit, which would end the
    # metrics' thread, and no process that has merely used up its files is refused that.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        connection.request("GET", "/static/page.css")
        assert connection.getresponse().status == 500
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        connection.close()


def test_every_line_fits_the_index_template(lines):
    wrong = {objection for line in lines for objection in objections(line, TYPES)}
    assert not wrong


def test_lines_of_every_kind_were_judged(lines):
    """Without these the test above would say little."""
    loggers = {line["log.logger"] for line in lines}
    assert {"ml_api.access", "ml_api.serving.server"} <= loggers
    assert {400, 404, 405, 413, 415, 422, 504, 200} <= {line.get("http.response.status_code") for line in lines}
    assert {"ml_api.access", "ml_api.sync", "ml_api.app"} <= {line["event.dataset"] for line in lines}
    assert [line for line in lines if "error.stack_trace" in line], "no traceback was logged"
    assert [line for line in lines if line.get("event.action") == "sync-failure" and line["ml_api.key"] == "broken.jpg"]
    assert [line for line in lines if line.get("ml_api.sync.added") == 12]
    assert [line for line in lines if line.get("ml_api.query.text") == ODD_QUERY]
    assert [line for line in lines if line.get("ml_api.queries") == 1 and line["ml_api.terms"] == 2]
    messages = " ".join(line["message"] for line in lines if line["log.logger"] == "ml_api.serving.server")
    assert "search page" in messages
    assert "stopping" in messages


def test_every_field_that_is_written_is_in_the_template_by_its_documented_type():
    of_elasticsearch = {name: kind for name, kind in TYPES.items() if name.startswith("data_stream.")}
    assert {name: kind for name, (kind, _) in FIELDS.items()} | of_elasticsearch == TYPES
    assert set(of_elasticsearch.values()) == {"constant_keyword"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"ml_api.secret": 1}, "ml_api.secret is not in the index template"),
        ({"http": {"response": {"status_code": "200"}}}, "http.response.status_code: '200' is no long"),
        ({"http.response.status_code": True}, "http.response.status_code: True is no long"),
        ({"@timestamp": "yesterday"}, "@timestamp: 'yesterday' is no date"),
        ({"client.ip": "somewhere"}, "client.ip: 'somewhere' is no ip"),
        ({"trace.id": ["ab", 7]}, "trace.id: 7 is no keyword"),
    ],
)
def test_the_judge_objects_to_what_elasticsearch_would_refuse(line, says):
    assert objections(line, TYPES) == [says]
