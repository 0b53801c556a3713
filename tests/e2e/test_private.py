"""On a machine that others use, too: what is stored is its owner's alone, and a proxy in the environment is not asked for it."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ml_api.corpus.thumbnails import ThumbnailCache
from ml_api.errors import ConfigError
from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.contracts.samples import DIM, MODEL
from tests.e2e.server_process import MODEL as SERVED_MODEL
from tests.e2e.server_process import ROOT, Server, children, run

NO_REPORT = 65534
DEAD_PROXY = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "GRPC_PROXY", "ALL_PROXY")


@contextmanager
def holding(store, **environ):
    """A process that keeps a store open, with one batch in it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.store_process", store, "hold"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
    )
    with process:
        try:
            assert [json.loads(process.stdout.readline())["what"] for _ in range(2)] == ["putting", "put"]
            yield process
        finally:
            process.kill()


def socket_of(store):
    _, folder = store.with_name(store.name + ".lock").read_text().split()
    [path] = Path(folder).iterdir()
    return path


def count_in(store):
    with closing(MilvusStore(MilvusEndpoint(str(store)), "images", VectorIndex(), Metrics())) as reopened:
        reopened.ensure(MODEL, DIM)
        return reopened.count()


def listening(pid):
    """Local TCP ports on which a process, or one below it, takes connections."""
    own = {
        str(entry.readlink())
        for some in (pid, *children(pid))
        for entry in Path(f"/proc/{some}/fd").iterdir()
        if entry.is_symlink()
    }
    rows = [line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


def modes(folder):
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")] if not path.is_symlink()}


CONNECT = """
import os, socket, sys
path, user = sys.argv[1], int(sys.argv[2])
if user != os.geteuid():
    os.setgroups([]), os.setgid(user), os.setuid(user)
socket.socket(socket.AF_UNIX).connect(path)
"""


def connect_as(user, path):
    """Reach for the socket from another process. Its exit code and what it says."""
    done = subprocess.run([sys.executable, "-c", CONNECT, path, str(user)], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_the_store_listens_where_its_owner_alone_can_go(tmp_path):
    store = tmp_path / "vectors.db"
    with holding(store) as process:
        path = socket_of(store)
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.parent.stat().st_uid == os.geteuid()
        assert listening(process.pid) == set(), "other users reach a TCP port"
        assert connect_as(os.geteuid(), path)[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_is_refused(tmp_path):
    store = tmp_path / "vectors.db"
    with holding(store):
        code, said = connect_as(NO_REPORT, socket_of(store))
        assert code == 1
        assert "PermissionError" in said


def test_a_killed_process_s_socket_is_removed_by_the_next(tmp_path):
    store = tmp_path / "vectors.db"
    with holding(store):
        left = socket_of(store).parent
    assert left.is_dir(), "killed, it cannot have removed it"
    assert count_in(store) == 40
    assert not left.exists()
    assert list(tmp_path.glob("**/milvus:0")) == []


@pytest.fixture
def short_folder():
    """A folder in which sockets can lie however long the paths of the test's own folders are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_killed_process_s_socket_is_removed_by_the_next_of_any_store(tmp_path, short_folder):
    with holding(tmp_path / "vectors.db", TMPDIR=str(short_folder)):
        left = socket_of(tmp_path / "vectors.db").parent
    assert left.parent == short_folder
    assert left.is_dir(), "killed, it cannot have removed it"
    with holding(tmp_path / "other.db", TMPDIR=str(short_folder)):
        assert not left.exists()


def test_sockets_in_use_and_what_is_no_socket_folder_are_left_alone(tmp_path, short_folder):
    mine = short_folder / "ml-api-milvus-mine"
    mine.mkdir()
    (mine / "picture.jpg").touch()
    with holding(tmp_path / "vectors.db", TMPDIR=str(short_folder)), holding(tmp_path / "other.db", TMPDIR=str(short_folder)):
        assert {socket_of(tmp_path / name).parent.parent for name in ("vectors.db", "other.db")} == {short_folder}
    assert (mine / "picture.jpg").exists()


@pytest.mark.parametrize("name", ["x" * 120, "a folder # with? %41"])
def test_a_temporary_folder_of_any_name_does(tmp_path, monkeypatch, name):
    """A socket's path has 107 bytes at most, and gRPC reads it as a URI."""
    (tmp_path / name).mkdir()
    with holding(tmp_path / name / "vectors.db", TMPDIR=str(tmp_path / name)):
        assert socket_of(tmp_path / name / "vectors.db").parent.parent != tmp_path / name


def test_a_store_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be kept in .*file/sub/vectors\.db: Not a directory"):
        count_in(tmp_path / "file" / "sub" / "vectors.db")


@pytest.fixture(scope="module")
def made_in(tmp_path_factory, demo_corpus):
    """A data folder that a sync and a service have made under the usual umask, with every proxy variable set to a dead one."""
    data = tmp_path_factory.mktemp("machine") / "data"
    before = os.umask(0o022)
    try:
        with pytest.MonkeyPatch.context() as environ:
            for name in PROXIES:
                environ.setenv(name, DEAD_PROXY)
            for name in ("no_proxy", "NO_PROXY"):
                environ.delenv(name, raising=False)
            server = Server(data.parent, demo_corpus, data_dir=data)
            server.sync()
            running = server.__enter__()
    finally:
        os.umask(before)
    yield data, running
    running.stop()


def test_a_dead_proxy_breaks_neither_sync_nor_search(made_in):
    _, server = made_in
    assert len(server.json("/v1/search/text?q=dog&limit=3")["hits"]) == 3


def test_all_that_is_stored_is_private(made_in):
    data, server = made_in
    hit = server.json("/v1/search/text?q=dog&limit=1")["hits"][0]
    assert server.get(hit["links"]["thumbnail"])[0] == 200
    assert {path: oct(mode) for path, mode in modes(data).items() if mode & 0o077} == {}
    assert {"milvus.db", "thumbnails", "sync.prom"} <= {path.name for path in data.iterdir()}


def test_a_sync_removes_previews_of_pictures_that_are_gone(tmp_path, demo_corpus):
    corpus, data = tmp_path / "corpus", tmp_path / "data"
    corpus.mkdir()
    picture = corpus / "kept.jpg"
    picture.write_bytes(next(demo_corpus.rglob("*.jpg")).read_bytes())
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    thumbnails = ThumbnailCache(data / "thumbnails", 2**20)
    for one in (digest, "ab" * 32):
        thumbnails.put(one, b"preview")
    done = run("sync", corpus=corpus, data_dir=data, model=SERVED_MODEL)
    assert done.returncode == 0, done.stderr
    assert thumbnails.get(digest) == b"preview"
    assert thumbnails.get("ab" * 32) is None


def test_the_service_listens_on_its_two_ports_only(made_in):
    _, server = made_in
    assert listening(server.process.pid) == {server.port, server.metrics_port}


def test_a_store_of_before_is_made_private(tmp_path):
    store = tmp_path / "vectors.db"
    store.mkdir(mode=0o755)
    store.chmod(0o755)
    tmp_path.chmod(0o755)
    assert count_in(store) == 0
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "what it lies in may be anybody's"
