"""What a proxy in the environment is not asked for."""

import urllib.request

import pytest

from ml_api.proxies import keep_this_machine_out


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"no_proxy": "milvus, .lan,"}, "milvus,.lan,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "milvus"}, "milvus,localhost,127.0.0.1,::1"),
        ({"no_proxy": "127.0.0.1", "NO_PROXY": "other"}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_this_machine_is_added_to_what_is_listed(given, kept):
    environ = dict(given)
    keep_this_machine_out(environ)
    assert environ["no_proxy"] == kept


def test_a_proxy_stays_for_the_rest(monkeypatch):
    environ = {"http_proxy": "http://proxy.example:3128"}
    keep_this_machine_out(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert urllib.request.proxy_bypass("127.0.0.1:8420")
    assert not urllib.request.proxy_bypass("huggingface.co")
