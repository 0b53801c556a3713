"""Who may say under which path and for whom a request comes."""

import pytest

from ml_api.errors import ConfigError
from ml_api.reverse_proxies import BehindProxies, networks
from ml_api.settings import load_settings

SAID = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "photos.example.org",
    "HTTP_X_FORWARDED_PREFIX": "/photos",
}


def seen(trusted="", root_path="", **environ):
    """What the application is told."""
    told = {}
    app = BehindProxies(lambda environ, _start: told.update(environ) or [], root_path, networks(trusted))
    first = {"REMOTE_ADDR": "10.1.2.3", "PATH_INFO": "/v1/stats", "SCRIPT_NAME": "", "HTTP_HOST": "127.0.0.1:8420"}
    app(first | {"wsgi.url_scheme": "http", "SERVER_NAME": "x", "SERVER_PORT": "80"} | environ, lambda *_: None)
    return told


def test_a_trusted_proxy_is_believed():
    told = seen("10.0.0.0/8", **SAID)
    assert told["REMOTE_ADDR"] == "203.0.113.9"
    assert told["wsgi.url_scheme"] == "https"
    assert told["HTTP_HOST"] == "photos.example.org"
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == ("/photos", "/v1/stats")


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0"])
def test_a_proxy_is_known_by_any_spelling_of_its_address(peer):
    assert seen("10.0.0.0/8,fe80::/10", REMOTE_ADDR=peer, **SAID)["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize("trusted", ["", "192.168.0.0/16", "10.1.2.4, ::1"])
@pytest.mark.parametrize("peer", ["10.1.2.3", "", "unix:"])
def test_nobody_else_is(trusted, peer):
    told = seen(trusted, REMOTE_ADDR=peer, **SAID)
    assert (told["REMOTE_ADDR"], told["HTTP_HOST"], told["wsgi.url_scheme"]) == (peer, "127.0.0.1:8420", "http")
    assert told["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
def test_a_script_name_that_comes_with_a_request_counts_never(trusted):
    assert seen(trusted, SCRIPT_NAME="/evil", HTTP_SCRIPT_NAME="/evil")["SCRIPT_NAME"] == ""
    assert seen(trusted, "/photos", SCRIPT_NAME="/evil")["SCRIPT_NAME"] == "/photos"


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/photos/v1/stats", "/v1/stats"),
        ("/v1/stats", "/v1/stats"),
        ("/photos", ""),
        ("/photos/", "/"),
        ("/photosets", "/photosets"),
    ],
)
def test_a_root_path_is_taken_away_if_the_proxy_left_it(path, left):
    told = seen(root_path="/photos", PATH_INFO=path)
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == ("/photos", left)


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "/<script>", "/a\r\nb", "http://evil.example", "/"])
def test_a_prefix_that_is_no_path_is_passed_over(prefix):
    assert seen("10.0.0.0/8", "/photos", **SAID | {"HTTP_X_FORWARDED_PREFIX": prefix})["SCRIPT_NAME"] == "/photos"


@pytest.mark.parametrize("written", ["photos", "/photos", "/photos/", "photos/"])
def test_a_root_path_is_read_as_people_write_it(written):
    assert load_settings({"ML_API_ROOT_PATH": written}).root_path == "/photos"


def test_settings_that_cannot_work_are_told():
    with pytest.raises(ConfigError) as raised:
        load_settings({"ML_API_ROOT_PATH": "https://x.org/photos", "ML_API_TRUSTED_PROXIES": "10.0.0.1/8, nginx"})
    told = str(raised.value)
    assert "ML_API_ROOT_PATH" in told
    assert "such as /photos" in told
    assert "10.0.0.1/8" in told
    assert "write 127.0.0.1 or 10.0.0.0/8" in told
