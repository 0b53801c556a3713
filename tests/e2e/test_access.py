"""The real process, which asks for keys: made, used and revoked by commands beside it."""

import re
import urllib.request

import pytest

from ml_api.logs import SECRET
from tests.e2e.server_process import MODEL, Server, run
from tests.waiting import wait_until


def keys(folder, *arguments):
    """What the command says, on its standard output."""
    result = run("keys", *arguments, data_dir=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def guarded(demo_corpus, tmp_path_factory):
    """A server over an empty index, and a key that was made before it started."""
    folder = tmp_path_factory.mktemp("guarded")
    key = keys(folder, "create", "first", "--scope", "search")
    assert SECRET.fullmatch(key), "the key alone"
    with Server(folder, demo_corpus, auth="on") as server:
        yield server, key, folder


def status(server, key="", path="/v1/stats", **headers):
    given = headers | ({"Authorization": f"Bearer {key}"} if key else {})
    return server.open(urllib.request.Request(server.url + path, headers=given))[0]


def test_a_service_that_others_reach_does_not_start_without_a_key(demo_corpus, tmp_path):
    ended = run("serve", host="0.0.0.0", corpus=demo_corpus, model=MODEL, data_dir=tmp_path)
    assert ended.returncode == 2
    assert "there is no API key, and others reach 0.0.0.0" in ended.stderr
    for way_out in ("`python -m ml_api keys create NAME --scope search,write`", "127.0.0.1 alone (ML_API_HOST)", "ML_API_AUTH=off"):
        assert way_out in ended.stderr


def test_a_key_made_before_the_start_works_and_without_one_nothing_does(guarded):
    server, key, _ = guarded
    assert [status(server), status(server, key), status(server, path="/"), status(server, path="/readyz")] == [401, 200, 200, 200]


def test_keys_are_made_and_revoked_beside_the_service(guarded):
    server, _, folder = guarded
    key = keys(folder, "create", "camera", "--scope", "search", "--expires", "90d")
    wait_until(lambda: status(server, **{"X-API-Key": key}) == 200, otherwise="the new key does not work")
    [row] = [line for line in keys(folder, "list").splitlines() if "camera" in line]
    assert re.search(r"^[0-9a-f]{8}  camera  search  .* valid$", row)
    assert "revoked" in keys(folder, "revoke", row.split()[0])
    wait_until(lambda: status(server, key) == 401, otherwise="the revoked key still works")


def test_a_session_lasts_until_it_is_signed_out(guarded):
    server, key, _ = guarded
    body, kind = f'{{"key": "{key}"}}'.encode(), "application/json"
    told, headers, _ = server.post("/session", body, kind)
    assert told == 204
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    assert status(server, **cookie) == 200
    out = urllib.request.Request(f"{server.url}/session", headers=cookie, method="DELETE")
    assert server.open(out)[0] == 204
    assert status(server, **cookie) == 401


def test_a_large_body_of_somebody_unknown_is_not_waited_for(guarded):
    server, _, _ = guarded
    told, _, body = server.post("/v1/search/image", b"x" * 20_000_000, "image/png")
    assert told == 401
    assert b"unauthorized" in body


def test_no_key_stands_in_the_log_or_in_a_file(guarded):
    server, key, folder = guarded
    status(server, key, path=f"/v1/images/{key}")
    status(server, path=f"/v1/search/text?q={key}")
    lines = server.log_lines()
    assert [line for line in lines if line["message"].startswith("access       with API keys, of which 1 are valid")]
    assert {line["user.id"] for line in lines if "user.id" in line}
    assert not SECRET.search(server.log())
    written = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and "models" not in path.parts]
    assert not [path for path in written if key.encode() in path.read_bytes()]
    assert "ml_api.sqlite3" in {path.name for path in written}


def test_a_service_that_asks_for_none_says_so(server):
    assert [line for line in server.log_lines() if "without API keys: only this machine reaches 127.0.0.1" in line["message"]]
