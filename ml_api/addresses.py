"""IP addresses as clients, proxies and operators write them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


def address_of(text: str) -> Address | None:
    """None if it is no address. A zone (`%eth0`) is left out, and IPv4 within IPv6 (`::ffff:192.0.2.1`) is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address or name."""
    address = address_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def url_of(host: str, port: int) -> str:
    """The URL of a service at this address or name, which may be an IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def entries(text: str) -> list[str]:
    """The entries of a setting that lists several, separated by commas or blanks."""
    return [entry for entry in re.split(r"[,\s]+", text) if entry]
