"""Addresses as they are written."""

from ipaddress import ip_address

import pytest

from ml_api.addresses import address_of, entries, url_of


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::8", "2001:db8::8"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written, meant):
    assert address_of(written) == ip_address(meant)


@pytest.mark.parametrize("written", ["", "unknown", "192.0.2.7:80", "192.0.2.7%eth0", "[::1]", "192.0.2.0/24", "unix:"])
def test_what_is_no_address_is_none(written):
    assert address_of(written) is None


def test_entries_stand_between_commas_or_blanks():
    assert entries(" a,b  c,,\td, ") == ["a", "b", "c", "d"]
    assert entries(" , ") == []


def test_a_url_has_brackets_around_an_ipv6_address():
    assert url_of("photos.example", 8420) == "http://photos.example:8420"
    assert url_of("::1", 8420) == "http://[::1]:8420"
