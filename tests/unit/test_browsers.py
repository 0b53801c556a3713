"""By which names the service may be asked: a page of another site must not read it by rebinding its own name."""

import socket

import pytest

from ml_api.browsers import AllowedHosts, listed
from ml_api.errors import InvalidInput, Misdirected

LOOPBACK = [
    "localhost",
    "localhost:8420",
    "LocalHost",
    "localhost.",
    "photos.localhost",
    "127.0.0.1:8420",
    "127.9.9.9",
    "[::1]:8420",
]
FOREIGN = [
    "evil.example",
    "evil.example:8420",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "evillocalhost",
    "2130706433",
    "0x7f.1",
    "a_b",
]
MALFORMED = [
    *("evil.example/localhost", "localhost@evil.example", "localhost,evil.example", "localhost evil.example", "localhost:port"),
    *("[::1", "::1", ":8420", "localhost:", "localhost:1:2", "l\u043ecalhost", "localhost\x00", "a" * 300, ".", "..", "-"),
]


def asked(host, **more):
    return {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": host} | more


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::", "192.0.2.7"])
def test_loopback_names_are_always_answered(listen, host):
    AllowedHosts.of(listen).check(asked(host))


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::", "192.0.2.7"])
def test_a_name_that_nobody_listed_is_refused_and_the_setting_named(listen, host):
    with pytest.raises(Misdirected, match="ML_API_ALLOWED_HOSTS"):
        AllowedHosts.of(listen).check(asked(host))


@pytest.mark.parametrize("host", MALFORMED)
@pytest.mark.parametrize("listed_hosts", ["", "*"])
def test_what_is_no_host_is_bad_input_whatever_is_listed(listed_hosts, host):
    with pytest.raises(InvalidInput) as raised:
        AllowedHosts.of("0.0.0.0", listed_hosts).check(asked(host))
    assert raised.value.slug == "bad-host"


def test_the_address_listened_on_is_answered_and_no_other():
    allowed = AllowedHosts.of("192.0.2.7")
    allowed.check(asked("192.0.2.7:8420"))
    with pytest.raises(Misdirected):
        allowed.check(asked("192.0.2.8:8420"))


def test_the_name_listened_on_is_answered():
    AllowedHosts.of("photos.example.org").check(asked("photos.example.org:8420"))


@pytest.mark.parametrize("host", ["10.1.2.3:9464", "192.168.1.5", "[2001:db8::7]:8420", "[::ffff:10.1.2.3]", "0.0.0.0:8420"])
@pytest.mark.parametrize("listen", ["0.0.0.0", "::"])
def test_who_listens_everywhere_is_asked_by_any_address(listen, host):
    """Kubernetes' probes, load balancers, Prometheus, other machines of the network: an address cannot be rebound."""
    AllowedHosts.of(listen).check(asked(host))


def test_who_listens_everywhere_is_asked_by_the_machine_s_name():
    for name in (socket.gethostname(), f"{socket.gethostname()}.local:8420"):
        AllowedHosts.of("0.0.0.0").check(asked(name))
    with pytest.raises(Misdirected):
        AllowedHosts.of("127.0.0.1").check(asked(socket.gethostname() + ".local"))


@pytest.mark.parametrize(
    "more",
    ["ml_api,photos.example.org", " ml_api , photos.example.org. ", "ml_api photos.example.org", "ml_api,Photos.Example.ORG,"],
)
@pytest.mark.parametrize("host", ["ml_api:9464", "photos.example.org", "PHOTOS.example.org:443"])
def test_listed_names_are_answered(more, host):
    AllowedHosts.of("127.0.0.1", more).check(asked(host))


def test_listed_domains_addresses_and_names_in_other_scripts_are_answered():
    allowed = AllowedHosts.of("127.0.0.1", ".svc.cluster.local,192.0.2.7,[2001:db8::7],2001:db8::8,bücher.example")
    for host in ("ml-api.photos.svc.cluster.local", "192.0.2.7:80", "[2001:db8::7]", "[2001:DB8:0::8]:80", "xn--bcher-kva.example"):
        allowed.check(asked(host))
    for host in ("evilsvc.cluster.local", "192.0.2.8", "sub.bücher.example".encode("idna").decode()):
        with pytest.raises(Misdirected):
            allowed.check(asked(host))


def test_an_address_is_listed_in_any_of_its_spellings():
    allowed = AllowedHosts.of("127.0.0.1", "::ffff:192.0.2.7")
    for host in ("192.0.2.7", "[::ffff:192.0.2.7]"):
        allowed.check(asked(host))


def test_a_star_stands_for_every_name_and_address():
    allowed = AllowedHosts.of("127.0.0.1", "*")
    for host in ("anything.example", "192.0.2.8", "[2001:db8::7]"):
        allowed.check(asked(host))


@pytest.mark.parametrize(
    "entry",
    ["http://photos.example.org", "photos.example.org:8420", "photos.example.org/x", "*.example.org", "a b/c", ".", "[::1]:80"],
)
def test_an_entry_that_is_no_name_is_refused_with_what_would_be_right(entry):
    with pytest.raises(ValueError, match=r"without scheme, port and path"):
        listed(f"localhost,{entry}")


def test_without_a_host_only_http_1_0_asks():
    """In which HAProxy's health checks ask, and no browser does."""
    AllowedHosts.of("127.0.0.1").check({"SERVER_PROTOCOL": "HTTP/1.0"})
    for protocol in ("HTTP/1.1", "HTTP/2"):
        with pytest.raises(InvalidInput, match="no Host header"):
            AllowedHosts.of("127.0.0.1").check({"SERVER_PROTOCOL": protocol})


def test_a_trusted_proxy_s_word_does_not_hide_what_the_browser_said():
    """A rebound page's requests, sent by a browser on the machine of a trusted proxy past that proxy, with X-Forwarded-Host."""
    allowed = AllowedHosts.of("127.0.0.1", "photos.example.org")
    allowed.check(asked("photos.example.org", **{"werkzeug.proxy_fix.orig": {"HTTP_HOST": "127.0.0.1:8420"}}))
    with pytest.raises(Misdirected, match=r"evil\.example"):
        allowed.check(asked("localhost", **{"werkzeug.proxy_fix.orig": {"HTTP_HOST": "evil.example"}}))
    with pytest.raises(Misdirected, match=r"evil\.example"):
        allowed.check(asked("evil.example", **{"werkzeug.proxy_fix.orig": {"HTTP_HOST": "localhost"}}))
