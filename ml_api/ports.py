"""TCP ports that the service listens on, each of them alone."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ml_api.errors import ConfigError


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """A socket on which no other process can listen meanwhile; on `::` for IPv4, too, where the system has both.

    Raises ConfigError, and OSError if the host is no address of here.
    """
    is_both = host == "::" and socket.has_dualstack_ipv6()
    with told(host, port):
        return socket.create_server((host, port), family=family_of(host), backlog=backlog, dualstack_ipv6=is_both)


@contextmanager
def told(host: str, port: int) -> Iterator[None]:
    """Raise ConfigError where a port cannot be opened."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} of {host} is in use, {_holder(port)}; choose another") from exc
        if exc.errno == errno.EACCES:
            raise ConfigError(f"port {port} may not be used without special rights; choose one from 1024 on") from exc
        raise


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _holder(port: int) -> str:
    """The likely holder of a port: usually another instance."""
    if sys.platform == "darwin":
        who = "the AirPlay receiver" if port in {5000, 7000} else "another instance of this service"
        return f"perhaps by {who} (`lsof -nP -iTCP:{port}` tells)"
    return f"perhaps by another instance of this service (`ss -ltnp sport = :{port}` tells)"
