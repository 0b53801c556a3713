"""A Milvus server with TLS and users: what gets in, what does not, and what the operator is told."""

import subprocess
from contextlib import closing

import pytest

from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.contracts.samples import DIM, MODEL, axis, record
from tests.servers.milvus import MilvusServer

TOKEN = "root:Milvus"  # what every Milvus server starts with


def certificate(folder, name):
    """A certificate for the host `name` that is its own authority, and its key."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", pem),
        ],
        check=True,
        capture_output=True,
    )
    return pem, key


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("trusted"), "milvus.test")


@pytest.fixture(scope="module")
def server(tmp_path_factory, trusted):
    pem, key = trusted
    server = MilvusServer(
        tmp_path_factory.mktemp("secured"),
        authorization_enabled=True,
        tls_mode=1,
        server_pem_path=str(pem),
        server_key_path=str(key),
    )
    server.start()
    yield server
    server.kill()


def store_at(server, ca, token=TOKEN, server_name="milvus.test"):
    uri = server.uri.replace("http:", "https:")
    endpoint = MilvusEndpoint(uri, token=token, tls_ca=ca, tls_server_name=server_name)
    return MilvusStore(endpoint, "images", VectorIndex(), Metrics(), timeout_s=5)


def test_the_right_certificate_and_token_get_in(server, trusted):
    with closing(store_at(server, trusted[0])) as store:
        store.ensure(MODEL, DIM)
        store.upsert([record("kept")], axis(0))
        assert store.count() == 1


@pytest.mark.parametrize("token", ["root:wrong-secret", "nobody:secret", ""])
def test_a_wrong_token_is_a_configuration_error_that_does_not_show_it(server, trusted, token):
    with pytest.raises(ConfigError, match="ML_API_MILVUS_TOKEN") as raised:
        store_at(server, trusted[0], token=token).ensure(MODEL, DIM)
    assert "secret" not in str(raised.value)


def test_a_server_with_another_certificate_is_not_spoken_to(server, tmp_path):
    other, _ = certificate(tmp_path, "milvus.test")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store_at(server, other).ensure(MODEL, DIM)


def test_a_server_with_another_name_is_not_spoken_to(server, trusted):
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store_at(server, trusted[0], server_name="elsewhere.test").ensure(MODEL, DIM)
