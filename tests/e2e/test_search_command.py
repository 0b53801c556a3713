"""The command `search`, beside a running service and without one."""

import json

from ml_api.cli.finders import BY_WORDS
from tests.e2e.server_process import Server, run


def found(*arguments, **settings):
    result = run("search", *arguments, "--json", **settings)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["hits"]


def test_a_running_service_is_asked_wherever_it_listens(server, demo_corpus):
    """The ports are not among the settings: the service has written down where it answers."""
    hits = found("a red car", "--limit", "5", **server.settings)
    asked = server.json("/v1/search/text?q=a+red+car&limit=5")["hits"]
    assert [hit["id"] for hit in hits] == [hit["id"] for hit in asked]
    assert all(hit["path"] == f"{demo_corpus}/{hit['key']}" for hit in hits)


def test_without_a_service_it_searches_by_itself(demo_corpus, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for number, picture in enumerate(sorted(demo_corpus.rglob("*.jpg"))[::20]):
        (few / f"{number}.jpg").write_bytes(picture.read_bytes())
    server = Server(tmp_path / "data", few)
    (tmp_path / "data").mkdir()
    server.index()
    image = few / "0.jpg"
    page = tmp_path / "found.html"
    result = run("search", "--image", image, "--html", page, **server.settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert page.read_text().count("data:image/webp") == len(list(few.iterdir()))
    assert page.read_text().find(str(image)) < page.read_text().find(str(few / "1.jpg"))
    narrow = ["--filter", '{"key": {"ne": "4.jpg"}}', "--offset", "1", "--group", "duplicates", "--match", "vector"]
    alone = found("a dog", "--limit", "3", *narrow, **server.settings)
    with server:
        beside = found("a dog", "--limit", "3", *narrow, **server.settings)
    assert [hit.keys() for hit in alone] == [hit.keys() for hit in beside]
    assert [hit["id"] for hit in alone] == [hit["id"] for hit in beside]
    del server.settings["corpus"]  # it is kept with the vectors
    named = run("search", "4", "--limit", "2", **server.settings)
    assert "words in" in named.stdout.splitlines()[0]
    assert named.stdout.splitlines()[1].split()[-2:] == ["key", str(few / "4.jpg")]
    assert BY_WORDS in named.stderr
    few.rename(tmp_path / "away")
    assert run("search", "4", "--html", page, **server.settings).returncode == 0
    assert "is not a folder" in page.read_text()


def test_a_picture_is_found_by_the_number_in_its_name(server):
    """Words were written by the sync, in a process of its own."""
    [hit] = server.json("/v1/search/text?q=0000&limit=1")["hits"]
    assert (hit["key"], hit["matched"]) == ("snow/two-brown-dogs-0000.jpg", ["key"])
    assert found("0000", "--limit", "1", **server.settings)[0]["key"] == hit["key"]
