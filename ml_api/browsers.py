"""What keeps web pages of other sites away from a private collection: the names we answer to, and headers on every answer.

Whoever visits a page lets it send requests from their own machine, behind every firewall. The browser keeps the answers from the
page unless it takes both for one site, and it goes by the name alone: a page at `http://evil.example:8420/` whose name is made to
point to 127.0.0.1 a moment later ("DNS rebinding") may read everything. Its requests still say `Host: evil.example`. An address in
`Host` cannot be rebound: the page itself came from there.
"""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ml_api.addresses import Address, address_of, entries
from ml_api.errors import InvalidInput, Misdirected

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",  # a description that looks like a page is not run as one
    "Cross-Origin-Resource-Policy": "same-origin",  # pages of others embed no picture of ours
    "Referrer-Policy": "same-origin",  # addresses with search texts in them are told to nobody
}
"""Belong on every answer."""

ANY: Final = "*"

_HOST = re.compile(
    r"(?:\[(?P<v6>[\da-f:.]+)\]|(?P<name>[a-z\d_](?:[a-z\d._-]{0,252}[a-z\d_])?)\.?)(?::\d{1,5})?", re.ASCII | re.IGNORECASE
)
"""RFC 9110's `Host`, of names as they are used: with the underscores of container networks."""
_QUOTED_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names and addresses by which this service may be asked, whatever the port."""

    names: frozenset[str]
    domains: tuple[str, ...]
    """With their dot: everything below them."""
    addresses: frozenset[Address]
    any_address: bool
    any_name: bool

    @classmethod
    def of(cls, listen: str, more: str = "") -> Self:
        """Loopback, what the service listens on, and `more` (as ML_API_ALLOWED_HOSTS is written; raises ValueError).

        Who listens on all addresses (0.0.0.0, ::) is asked by each of them, and by the machine's own name.
        """
        everywhere = listen in {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not listened on
        wanted = listed(more)
        hosts = [".localhost", *(_own_names() if everywhere else [_parsed(listen)]), *wanted]
        return cls(
            names=frozenset(host for host in hosts if isinstance(host, str)),
            domains=tuple(host for host in hosts if isinstance(host, str) and host.startswith(".")),
            addresses=frozenset(host for host in hosts if not isinstance(host, str)),
            any_address=everywhere or ANY in wanted,
            any_name=ANY in wanted,
        )

    def check(self, environ: Mapping[str, Any]) -> None:
        """Of a WSGI request. Raises Misdirected, or InvalidInput if its `Host` is none.

        Where a proxy's word is taken for `Host`, what the request said itself counts too: a rebound page can send
        `X-Forwarded-Host` of its own through a browser on the proxy's machine.
        """
        given = {said.get("HTTP_HOST") for said in (environ, environ.get("werkzeug.proxy_fix.orig") or environ)}
        for host in given:
            if host:
                self._check(host)
            elif environ.get("SERVER_PROTOCOL") != "HTTP/1.0":  # in which health checks ask, and no browser does
                raise InvalidInput("the request has no Host header", code="bad-host")

    def _check(self, host: str) -> None:
        match = _HOST.fullmatch(host)
        if match is None:
            raise InvalidInput(f"{host[:_QUOTED_CHARS]!r} is not a host name or address, perhaps with a port", code="bad-host")
        name = match["v6"] or match["name"]
        if not self._has(name.lower()):
            raise Misdirected(
                f"this service does not answer to {name[:_QUOTED_CHARS]!r}; if that is its name, ML_API_ALLOWED_HOSTS must list it"
            )

    def _has(self, name: str) -> bool:
        address = address_of(name)
        if address is None:
            return self.any_name or name in self.names or f".{name}".endswith(self.domains)
        return self.any_address or address.is_loopback or address in self.addresses


def _own_names() -> list[str]:
    name = socket.gethostname().lower()
    return [name, f"{name}.local"]


def listed(more: str) -> list[str | Address]:
    """What ML_API_ALLOWED_HOSTS lists. Raises ValueError."""
    return [_parsed(entry) for entry in entries(more)]


def _parsed(entry: str) -> str | Address:
    if entry == ANY:
        return entry
    if (address := address_of(entry.removeprefix("[").removesuffix("]"))) is not None:
        return address
    try:
        name = (
            entry.removesuffix(".").encode("idna" if not entry.startswith(".") and "_" not in entry else "ascii").decode().lower()
        )
    except UnicodeError:
        name = ""
    match = _HOST.fullmatch(name.removeprefix("."))
    if match is None or match["name"] != name.removeprefix("."):
        raise ValueError(
            f"{entry!r} is no host name: write names or addresses without scheme, port and path, such as photos.example.org"
        )
    return name
