"""The real process: the main job, hostile clients, startup errors, shutdown."""

import http.client
import json
import select
import signal
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from monitoring.local.launcher import free_port
from tests.e2e.server_process import MODEL, Server, run
from tests.waiting import wait_until


def test_the_main_job_works(server):
    answer = server.json("/v1/search/text?q=two+dogs+playing+in+the+snow&limit=5")
    assert "demo model" in answer["model"]
    assert len(answer["hits"]) == 5
    hit = answer["hits"][0]
    status, headers, _ = server.get(hit["links"]["thumbnail"])
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    by_image = json.loads(server.post("/v1/search/image?limit=1", server.get(hit["links"]["content"])[2], "image/jpeg")[2])
    assert by_image["hits"][0]["id"] == hit["id"], "an image does not find itself"
    assert hit["id"] not in {other["id"] for other in server.json(hit["links"]["similar"])["hits"]}


def test_the_demo_is_honest_about_its_model(server):
    assert "demo model" in server.json("/v1/model")["name"]
    assert b"demo model" in server.get("/")[2]


def metrics_of(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_metrics_have_a_port_of_their_own(server):
    with pytest.raises(AssertionError):
        server.json("/metrics")
    text = metrics_of(server)
    assert "ml_api_model_info{" in text
    assert 'http_request_duration_seconds_bucket{le="0.3",method="GET",route="/readyz",status="200"}' in text
    assert 'ml_api_store_duration_seconds_count{backend="milvus-lite",operation="search",outcome="ok"}' in text


def test_a_text_asked_for_again_needs_no_model(server):
    first, again = (server.json("/v1/search/text?q=a+red+boat+asked+for+twice") for _ in range(2))
    assert first["hits"] == again["hits"]
    assert first["timings_ms"]["embed"] > 0
    assert again["timings_ms"]["embed"] == 0
    assert 'ml_api_text_cache_requests_total{result="hit"}' in metrics_of(server)


def test_many_searches_at_once_are_answered_as_one_is(server):
    urls = [f"/v1/search/text?q={colour}+{thing}&limit=5" for colour in ("red", "blue") for thing in ("boat", "dog", "tree", "cat")]
    alone = {url: server.json(url)["hits"] for url in urls}
    with ThreadPoolExecutor(24) as callers:
        together = list(callers.map(lambda url: (url, server.json(url)["hits"]), urls * 12))
    assert all(hits == alone[url] for url, hits in together)
    assert "ml_api_search_batch_size_count" in metrics_of(server)


def test_a_request_whose_time_is_up_is_answered_with_504(server):
    request = urllib.request.Request(f"{server.url}/v1/search/text?q=red", headers={"X-Request-Timeout": "0.000001"})
    status, _, body = server.open(request)
    assert (status, json.loads(body)["code"]) == (504, "deadline-exceeded")
    assert 'ml_api_rejected_total{reason="deadline"}' in metrics_of(server)


def test_every_log_line_is_json_and_a_request_is_found_by_its_id(server):
    _, headers, _ = server.get("/v1/stats")
    matching = [line for line in server.log_lines() if line.get("http.request.id") == headers["X-Request-ID"]]
    assert [line["url.path"] for line in matching] == ["/v1/stats"]


def raw(server, request):
    """Send bytes as they are; the answer's status, headers and body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /v1/search/text?q=" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri-too-long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431, "headers-too-large"),
    ],
    ids=["long URL", "long header"],
)
def test_what_is_no_request_is_a_problem_too(server, request_bytes, status, code):
    got, headers, body = raw(server, request_bytes)
    assert got == status
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["code"] == code
    assert json.loads(body)["request_id"] == headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ],
    ids=["nonsense", "a header of 1 MB", "a URL of 100 KB"],
)
def test_what_cannot_be_read_at_all_is_refused_by_its_status(server, request_bytes, status):
    assert raw(server, request_bytes)[0] == status
    assert server.get("/livez")[0] == 200


def test_a_body_over_the_limit_is_refused_readably(server):
    status, _, body = server.post("/v1/search/image", b"x" * 60_000_000, "image/png")
    assert status == 413
    assert json.loads(body)["code"] == "too-large"
    assert server.get("/livez")[0] == 200


def test_large_bodies_without_an_end_keep_no_search_out(server):
    """Eight that lack a byte each are all that fits."""
    picture = server.get(server.json("/v1/search/text?q=red&limit=1")["hits"][0]["links"]["content"])[2]
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60)) for _ in range(8)]
        for client in clients:
            client.sendall(head % 2**25 + bytes(2**25 - 1))
        statuses = [server.post("/v1/search/image", body, "image/jpeg")[0] for body in (picture, picture + bytes(12_000_000))]
        answered, _, _ = select.select(clients, [], [], 10)
        assert statuses == [200, 200]
        assert [client.recv(4096).split()[1] for client in answered] == [b"503"]


def test_clients_that_hang_up_harm_nobody(server):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/search/image HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\nabc"
            )
    assert server.json("/readyz")["ready"]


def test_many_clients_at_once_get_their_own_answers(server):
    texts = ["a red car", "two dogs", "a boat at night", "an apple in the room"]
    alone = {text: keys(server, text) for text in texts}
    wrong = []

    def ask(text):
        if keys(server, text) != alone[text]:
            wrong.append(text)

    threads = [threading.Thread(target=ask, args=(texts[number % len(texts)],)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def keys(server, text):
    return [hit["key"] for hit in server.json(f"/v1/search/text?q={text.replace(' ', '+')}")["hits"]]


def test_shutdown_finishes_what_is_in_flight(server, demo_corpus, tmp_path):
    data = next(demo_corpus.rglob("*.jpg")).read_bytes()
    own = Server(tmp_path, demo_corpus)
    with own:
        connection = http.client.HTTPConnection("127.0.0.1", own.port, timeout=60)
        connection.putrequest("POST", "/v1/search/image")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data[:10])
        wait_until(lambda: 'ml_api_requests{state="reading"} 1.0' in metrics_of(own))
        with socket.create_connection(("127.0.0.1", own.port), timeout=60):  # as browsers keep at hand: it asks for nothing
            assert own.get("/livez")[0] == 200  # by now it has been seen
            own.process.send_signal(signal.SIGTERM)
            connection.send(data[10:])
            assert connection.getresponse().status == 200
            connection.close()
            stopping = time.monotonic()
            assert own.stop() == 0
            assert time.monotonic() - stopping < 20, "an idle connection holds up the end"
    assert "Traceback" not in own.log()


def assert_refused(result, *says):
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    for words in says:
        assert words in result.stderr, result.stderr


def test_a_second_process_on_an_embedded_store_is_refused(server):
    ports = {"port": free_port(), "metrics_port": free_port()}
    owner = server.json("/readyz")["ready"]
    assert owner
    assert_refused(run("serve", **server.settings, **ports), "Milvus Lite", "process", "ML_API_MILVUS_URI")
    assert server.json("/readyz")["ready"]


def test_a_port_that_is_taken_is_named_before_anything_is_loaded(server, tmp_path):
    started = time.monotonic()
    settings = server.settings | {"data_dir": tmp_path, "port": server.port, "metrics_port": server.metrics_port}
    assert_refused(run("serve", **settings), "ML_API_PORT", "ML_API_METRICS_PORT")
    assert time.monotonic() - started < 20


def test_a_model_that_cannot_be_had_names_the_ways_out(demo_corpus, tmp_path):
    for command in ("serve", "sync"):
        result = run(
            command,
            model="clip-ViT-B-32",
            corpus=demo_corpus,
            data_dir=tmp_path,
            port=free_port(),
            metrics_port=free_port(),
        )
        assert_refused(result, "clip-ViT-B-32", "demo/model", "cache")


def test_all_problems_of_a_configuration_are_reported_together():
    result = run("serve", port="none", corpsu="x", metric="EUCLID", metrics_port=free_port())
    assert_refused(result, "ML_API_PORT", "ML_API_CORPSU", "ML_API_METRIC")


def test_it_says_where_the_data_lie_and_how_much_is_there(server):
    said = [line["message"] for line in server.log_lines()]
    assert f"data         {server.settings['data_dir']}, 120 images of {server.settings['corpus']}" in said


def test_serving_needs_a_corpus():
    assert_refused(run("serve", model=MODEL, port=free_port(), metrics_port=free_port()), "ML_API_CORPUS")


def test_another_model_is_refused_for_vectors_that_are_there(server, demo_corpus, tmp_path):
    own = Server(tmp_path, demo_corpus)
    own.index()
    other = tmp_path / "other-model"
    copy_tree(MODEL, other)
    config = next(other.rglob("preprocessor_config.json"))
    config.write_text(config.read_text() + "\n")
    assert_refused(run("sync", **(own.settings | {"model": other})), "ML_API_MODEL", "ML_API_COLLECTION")


def copy_tree(source, target):
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
