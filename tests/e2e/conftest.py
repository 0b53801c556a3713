"""One real server over a small drawn corpus, shared by the tests that only ask it questions."""

import subprocess
import sys

import pytest

from tests.e2e.server_process import MODEL, ROOT, Server
from tests.servers.milvus import MilvusServer

CORPUS_IMAGES = 120


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory):
    """The first pictures of the demo corpus, drawn as `make demo` draws them."""
    folder = tmp_path_factory.mktemp("demo") / "images"
    subprocess.run(
        [sys.executable, "-m", "demo.corpus", str(folder), "--count", str(CORPUS_IMAGES)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return folder


@pytest.fixture(scope="session")
def server(demo_corpus, tmp_path_factory):
    assert MODEL.is_dir(), "demo/model is missing: it belongs to the repository"
    server = Server(tmp_path_factory.mktemp("server"), demo_corpus)
    server.sync()
    with server:
        yield server


@pytest.fixture
def milvus(tmp_path):
    """A real server of the test's own, which it may stop and kill."""
    milvus = MilvusServer(tmp_path / "milvus")
    (tmp_path / "milvus").mkdir()
    milvus.start()
    yield milvus
    milvus.end()
