"""A data folder that is restored at another path, and reached through a link: nothing that people said of images is lost."""

import json
import shutil

import pytest

from tests.e2e.server_process import Server, run


@pytest.fixture(scope="module")
def corpus(demo_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved") / "images"
    folder.mkdir()
    for number, picture in enumerate(sorted(demo_corpus.rglob("*.jpg"))[:5]):
        shutil.copy(picture, folder / f"{number}.jpg")
    return folder


def test_a_restored_folder_has_its_verdicts_and_the_command_finds_the_service_through_a_link(corpus, tmp_path):
    before, restored, link = (tmp_path / name for name in ("before", "restored here", "link"))
    before.mkdir()
    first = Server(before, corpus)
    first.index()
    with first:
        found = first.json("/v1/search/text?q=a+boat")
        verdict = {"query_id": found["query_id"], "id": found["hits"][0]["id"], "verdict": "relevant"}
        status, _, body = first.post("/v1/feedback", json.dumps(verdict).encode(), "application/json")
        assert status == 200, body
        told = first.get("/v1/feedback")[2]
    before.rename(restored)
    link.symlink_to(restored)
    with Server(restored, corpus) as again:
        assert again.get("/v1/feedback")[2] == told != b""
        done = run("sync", **again.settings | {"data_dir": link})
        assert (done.returncode, "is run by the service" in done.stderr) == (0, True), done.stderr
        assert [job["state"] for job in again.json("/v1/sync")["last"]] == ["succeeded"]
