"""The real process keeps pages of other sites out."""

import http.client
import socket


def test_a_rebound_name_reads_nothing_on_any_port(server):
    """What a browser sends for a page of evil.example whose name has been made to point to 127.0.0.1."""
    for port, paths in (
        (server.port, ("/", "/v1/search/text?q=dog", "/livez", "/apidocs", "/nowhere")),
        (server.metrics_port, ("/metrics",)),
    ):
        for path in paths:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path, headers={"Host": f"evil.example:{port}"})
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
            assert response.status == 421, path
            assert "ML_API_ALLOWED_HOSTS" in body
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Location"] is None


def test_a_request_without_a_host_is_no_way_in(server):
    for head, status in (
        (b"GET /v1/stats HTTP/1.1\r\n", b"400"),
        (b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", b"400"),
        (b"GET http://evil.example/v1/stats HTTP/1.1\r\nHost: evil.example\r\n", b"421"),
        (b"GET /livez HTTP/1.0\r\n", b"200"),  # a health check of HAProxy
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(head + b"Connection: close\r\n\r\n")
            assert client.recv(4096).split()[1] == status, head
