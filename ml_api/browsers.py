"""Protection against web pages of other sites: allowed host names, the origin of what changes something, security headers.

A web page can send requests from its visitor's machine, behind every firewall. The browser lets it read answers of its own origin
only, and an origin is a name: a page at `http://evil.example:8420/` whose name resolves to 127.0.0.1 a moment later ("DNS
rebinding") may read everything. Its requests still carry `Host: evil.example`. An address in `Host` cannot be rebound, since the
page itself came from there.

What a page cannot read it can still send, a form for instance: requests that may change something have to come from pages of ours,
or from no page at all.
"""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ml_api.addresses import Address, address_of, entries
from ml_api.errors import ForeignOrigin, InvalidInput, Misdirected

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",  # metadata that looks like HTML is not rendered
    "Cross-Origin-Resource-Policy": "same-origin",  # other origins cannot embed images
    "Referrer-Policy": "same-origin",  # URLs with search texts are not sent to other sites
}
"""Set on every answer."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing (RFC 9110, 9.2.1)."""

ANY: Final = "*"

SENDABLE: Final = (
    "Authorization, Content-Type, If-Match, If-None-Match, Range, traceparent, X-API-Key, X-Request-ID, X-Request-Timeout"
)
"""Headers that pages of other origins may send."""
READABLE: Final = ", ".join(
    (
        *("Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "Location", "Retry-After"),
        *("traceresponse", "WWW-Authenticate", "X-Request-ID"),
    )
)
"""Headers of answers that they may read, beside those that the Fetch standard lets them."""
PREFLIGHT_S: Final = 600
"""How long a browser keeps the answer to a preflight."""
DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
"""Browsers leave them out of origins."""
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z\d._-]+|\[[\da-f:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)

_HOST = re.compile(
    r"(?:\[(?P<v6>[\da-f:.]+)\]|(?P<name>[a-z\d_](?:[a-z\d._-]{0,252}[a-z\d_])?)\.?)(?::\d{1,5})?", re.ASCII | re.IGNORECASE
)
"""`Host` of RFC 9110, and underscores, which container networks use."""
_QUOTED_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names and addresses that the service answers to, on any port."""

    names: frozenset[str]
    domains: tuple[str, ...]
    """With a leading dot: all names below them."""
    addresses: frozenset[Address]
    any_address: bool
    any_name: bool

    @classmethod
    def of(cls, listen: str, more: str = "") -> Self:
        """Loopback, the address listened on, and `more` (a value of ML_API_ALLOWED_HOSTS; raises ValueError).

        Listening on all addresses (0.0.0.0, ::) allows every address and the machine's own name.
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
        """Check a WSGI request. Raises Misdirected, or InvalidInput if its `Host` is malformed.

        If a trusted proxy sets the host, the request's own `Host` is checked, too: a rebound page can send an `X-Forwarded-Host`
        of its own through a browser on the proxy's machine.
        """
        given = {said.get("HTTP_HOST") for said in (environ, environ.get("werkzeug.proxy_fix.orig") or environ)}
        for host in given:
            if host:
                self._check(host)
            elif environ.get("SERVER_PROTOCOL") != "HTTP/1.0":  # health checks may use HTTP/1.0, browsers do not
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


def is_foreign(environ: Mapping[str, Any]) -> bool:
    """Whether a page of another origin sent this WSGI request, and it may change something.

    Browsers say so themselves: in `Sec-Fetch-Site`, which only they can set and old ones do not, and in `Origin`. A request with
    neither comes from no browser. The same rule as Go's http.CrossOriginProtection.
    """
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    if environ["REQUEST_METHOD"] in SAFE_METHODS or site in {"same-origin", "none"}:
        return False
    host = environ.get("HTTP_HOST", "")
    return site is not None or (origin is not None and origin.lower().partition("://")[2] != host.lower())


def check_origin(environ: Mapping[str, Any], shared_with: frozenset[str]) -> None:
    """Raises ForeignOrigin for a WSGI request that `is_foreign`, unless its origin is in `shared_with`."""
    origin = environ.get("HTTP_ORIGIN")
    if origin in shared_with or not is_foreign(environ):
        return
    host = environ.get("HTTP_HOST", "")
    raise ForeignOrigin(
        f"a page of {(origin or 'another site')[:_QUOTED_CHARS]!r} may not ask this of {host[:_QUOTED_CHARS]!r}; "
        "a proxy between them has to pass its own name on, in Host or X-Forwarded-Host"
    )


def origins(value: str) -> frozenset[str]:
    """The origins in the value of ML_API_CORS_ORIGINS, as browsers write them. Raises ValueError."""
    return frozenset(map(_origin, entries(value)))


def _origin(entry: str) -> str:
    match = _ORIGIN.fullmatch(entry.lower())
    if match is None:
        raise ValueError(
            f"{entry!r} is no origin: write scheme, host and perhaps a port, such as https://shop.example.org; there is no {ANY!r}"
        )
    scheme, host, port = match["scheme"], match["host"], match["port"]
    return f"{scheme}://{host}" + (f":{port}" if port and port != DEFAULT_PORTS[scheme] else "")


def sharing_headers(origin: str, shared_with: frozenset[str]) -> dict[str, str]:
    """What lets a page of a listed origin read an answer. Without credentials: what such a page may do, its API key says."""
    if not shared_with:
        return {}
    shared = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": READABLE} if origin in shared_with else {}
    return {"Vary": "Origin", **shared}  # also for others, as caches keep answers


def preflight_headers(origin: str, methods: str, shared_with: frozenset[str]) -> dict[str, str]:
    """The answer to a page that asks whether it may send a request; `methods` are the route's."""
    if origin not in shared_with:
        return {}
    return {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": SENDABLE,
        "Access-Control-Max-Age": str(PREFLIGHT_S),
    }


def _own_names() -> list[str]:
    name = socket.gethostname().lower()
    return [name, f"{name}.local"]


def listed(more: str) -> list[str | Address]:
    """The hosts in the value of ML_API_ALLOWED_HOSTS. Raises ValueError."""
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
