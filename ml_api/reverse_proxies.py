"""Operation behind a reverse proxy: the path under which it serves the application, and its `X-Forwarded-…` headers.

Any client can send these headers, so they are used only from proxies with a trusted address. A `SCRIPT_NAME` in the request is
never used.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.proxy_fix import ProxyFix

from ml_api.addresses import address_of, entries

Network = IPv4Network | IPv6Network

_ROOT: Final = re.compile(r"(/[\w.~-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class BehindProxies:
    """WSGI middleware. `root_path` as from `root_path_of`; `trusted` are the networks of proxies."""

    app: WSGIApplication
    root_path: str
    trusted: tuple[Network, ...]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = ""
        if self._is_trusted(environ.get("REMOTE_ADDR", "")):
            return ProxyFix(self._below_root, x_for=1, x_proto=1, x_host=1, x_prefix=1)(environ, start_response)
        return self._below_root(environ, start_response)

    def _below_root(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Set SCRIPT_NAME and PATH_INFO, whether the proxy removes the path or passes it on."""
        said = environ["SCRIPT_NAME"].rstrip("/")
        root = said if said and _ROOT.fullmatch(said) else self.root_path
        path = environ.get("PATH_INFO", "")
        environ["SCRIPT_NAME"] = root
        if root and (path + "/").startswith(root + "/"):
            environ["PATH_INFO"] = path.removeprefix(root)
        return self.app(environ, start_response)

    def _is_trusted(self, peer: str) -> bool:
        address = address_of(peer) if self.trusted else None
        return address is not None and any(address in network for network in self.trusted)


def networks(listed: str) -> tuple[Network, ...]:
    """The networks in the value of ML_API_TRUSTED_PROXIES. Raises ValueError."""
    return tuple(_network(entry) for entry in entries(listed))


def root_path_of(written: str) -> str:
    """`/photos` for `photos`, `/photos` and `/photos/`; empty for `/`. Raises ValueError."""
    path = "/" + written.strip("/") if written.strip("/") else ""
    if not _ROOT.fullmatch(path):
        raise ValueError("must be a path such as /photos, of letters, digits, dots, hyphens and underscores")
    return path


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError:
        raise ValueError(f"{entry!r} is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8") from None
