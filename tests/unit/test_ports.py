"""Ports of the service: on which addresses they are open, and what is said where one is not free."""

import re
import socket

import pytest

from ml_api.errors import ConfigError
from ml_api.ports import listen
from monitoring.local.launcher import free_port


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "reached"),
    [("::", {"127.0.0.1", "::1"}), ("::1", {"::1"}), ("127.0.0.1", {"127.0.0.1"}), ("0.0.0.0", {"127.0.0.1"})],
)
def test_a_port_is_open_on_the_addresses_that_its_host_stands_for(host, reached):
    """`::` was closed for IPv4, unlike the port of the metrics."""
    port = free_port()
    with listen(host, port):
        assert {address for address in ("127.0.0.1", "::1") if is_open(address, port)} == reached


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_others_listen_on_is_refused_with_its_number(host):
    port = free_port()
    with listen(host, port), pytest.raises(ConfigError, match=re.escape(f"port {port} of {host} is in use")):
        listen(host, port)


def is_open(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False
