"""The command `search`: which service it asks, how it asks, and what it shows."""

import json
from pathlib import Path

import pytest
from werkzeug import Response

from ml_api.access import Access
from ml_api.access.keys import every_key
from ml_api.cli.finders import BY_WORDS, NOT_CONFIDENT, NOTHING_FOUND, finder_of
from ml_api.cli.parsing import parse
from ml_api.cli.search import search
from ml_api.database import Database
from ml_api.database.tables import OwnerRow
from ml_api.errors import ConfigError, InvalidInput, Unavailable
from ml_api.indexing.jobs.heartbeat import pid_namespace
from ml_api.services import target_of
from ml_api.settings import load_settings

ID = "0" * 32
MODEL = Path(__file__).parents[3] / "demo" / "model"
HIT = {"id": ID, "key": "dogs/rex <1>.jpg", "score": 0.31, "width": 640, "height": 480, "metadata": {"caption": "<b>rex</b>"}}


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "photos").mkdir()
    return load_settings({"ML_API_CORPUS": str(tmp_path / "photos"), "ML_API_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def service(settings, httpserver):
    """The row of a service of this machine, whose answers the test writes."""
    settings.data_dir.mkdir()
    database = Database.open(settings.database_address)
    with database.write() as session:
        address = httpserver.url_for("").rstrip("/")
        session.add(OwnerRow(name=f"{pid_namespace()}/none", target=target_of(settings), corpus="/x", model="m@1", address=address))
    httpserver.expect_request(f"/v1/images/{ID}/thumbnail").respond_with_data(b"RIFF", content_type="image/webp")
    yield httpserver
    database.close()


def run(settings, *arguments):
    options, _given, problems = parse(["search", *map(str, arguments)])
    assert problems == []
    return search(settings, options)


def test_a_table_has_the_paths_of_what_a_service_found(settings, service, capsys):
    service.expect_request("/v1/search/text", method="POST", json={"q": "a dog", "limit": 3}).respond_with_json({"hits": [HIT]})
    assert run(settings, "a dog", "--limit", "3") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["score", "pixels", "path"]
    assert row.split(maxsplit=4) == ["0.3100", "640", "x", "480", f"{settings.corpus}/dogs/rex <1>.jpg"]


def test_a_search_names_no_corpus_where_a_service_knows_it(settings, service, capsys):
    """The README's command, in the folder in which `serve --corpus DIR` runs."""
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT]})
    run(settings.model_copy(update={"corpus": None}), "a dog")
    assert capsys.readouterr().out.splitlines()[1].endswith("  /x/dogs/rex <1>.jpg")


def test_a_service_with_another_model_than_the_one_asked_for_is_named(settings, service, tmp_path):
    with pytest.raises(ConfigError, match="embeds with m@1, not with clip-ViT-L-14"):
        run(settings.model_copy(update={"model": "clip-ViT-L-14"}), "a dog")
    with pytest.raises(ConfigError, match="embeds with m@1, not with "):
        run(settings.model_copy(update={"model": str(MODEL)}), "a dog")


def test_a_service_with_the_model_asked_for_is_used(settings, service, capsys):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT]})
    run(settings.model_copy(update={"model": "m"}), "a dog")
    assert "rex" in capsys.readouterr().out


def test_json_is_all_that_is_written(settings, service, capsys):
    read_as = [{"text": "a dog", "weight": 1.0}, {"text": "snow", "weight": -0.5}]
    answer = {"hits": [HIT], "confident": True, "read_as": read_as, "model": "clip"}
    service.expect_request("/v1/search/text").respond_with_json(answer)
    run(settings, "a dog without snow", "--json")
    expected = {
        "hits": [HIT | {"path": f"{settings.corpus}/{HIT['key']}"}],
        "confident": True,
        "read_as": read_as,
        "warnings": None,
    }
    assert json.loads(capsys.readouterr().out) == expected


def test_hits_are_told_while_the_folder_that_is_named_is_away(settings, service, capsys):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT], "confident": True})
    settings.corpus.rename(settings.corpus.with_name("away"))
    run(settings, "a dog")
    assert HIT["key"] in capsys.readouterr().out


NAMED = HIT | {"id": "1" * 32, "score": 0.12, "relevance": 0.93, "matched": ["key", "größe"]}


def test_why_hits_stand_where_they_do_is_said_beside_the_table(settings, service, capsys):
    read_as = [{"text": "rex", "weight": 1.0}, {"text": "snow", "weight": -0.5}]
    answer = {"hits": [NAMED, HIT | {"relevance": None, "matched": None}], "confident": False, "read_as": read_as}
    service.expect_request("/v1/search/text").respond_with_json(answer)
    run(settings, "rex without snow")
    written = capsys.readouterr()
    heading, named, other = written.out.splitlines()
    path = f"{settings.corpus}/dogs/rex <1>.jpg"
    assert heading.split() == ["score", "relevance", "pixels", "words", "in", "path"]
    assert named.split(maxsplit=7) == ["0.1200", "0.93", "640", "x", "480", "key,", "größe", path]
    assert other.split(maxsplit=4) == ["0.3100", "640", "x", "480", path]
    assert written.err.splitlines() == ["read as 'rex', 'snow' (not wanted)", NOT_CONFIDENT, BY_WORDS]


def test_scores_that_fall_need_no_explanation(settings, service, capsys):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [NAMED | {"score": 0.4}, HIT]})
    run(settings, "rex")
    assert BY_WORDS not in capsys.readouterr().err


def test_of_no_hits_there_is_no_table(settings, service, capsys):
    service.expect_request("/v1/search/text").respond_with_json({"hits": []})
    assert run(settings, "rex") == 1
    assert capsys.readouterr().out == ""


def test_a_page_says_why_hits_stand_where_they_do(settings, service, tmp_path):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [NAMED, HIT], "confident": False})
    run(settings, "rex", "--html", tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text()
    assert "relevance 0.93, words in key, größe" in page
    assert page.count("relevance") == 1
    assert NOT_CONFIDENT in page
    assert BY_WORDS in page


def test_a_file_over_the_limit_is_not_read_to_its_end(settings, tmp_path):
    (tmp_path / "long.png").write_bytes(bytes(1025))  # /dev/zero has no end, and took all memory
    with pytest.raises(InvalidInput, match="the largest allowed"):
        run(settings.model_copy(update={"max_upload_bytes": 1024}), "--image", tmp_path / "long.png")


def test_an_image_is_sent_alone_or_with_a_text(settings, service, tmp_path, capsys):
    (tmp_path / "mine.png").write_bytes(b"picture")
    encoded = "cGljdHVyZQ=="
    service.expect_request("/v1/search/image", query_string="limit=10", json={"image": encoded}).respond_with_json({"hits": []})
    both = {"query": [{"text": "red"}, {"image": encoded}], "limit": 10}
    service.expect_request("/v1/search", json=both).respond_with_json({"hits": [HIT]})
    assert run(settings, "--image", tmp_path / "mine.png") == 1
    assert "nothing is indexed yet" in capsys.readouterr().err
    run(settings, "red", "--image", tmp_path / "mine.png")
    assert "rex" in capsys.readouterr().out


NARROW = ["--limit", 5, "--offset", 2, "--filter", '{"price": {"lt": 20}}', "--min-relevance", 0.5, "--group", "brand"]


def test_what_narrows_a_search_is_asked_as_each_route_takes_it(settings, service, tmp_path, capsys):
    (tmp_path / "mine.png").write_bytes(b"picture")
    page = {"limit": 5, "offset": 2, "filter": {"price": {"lt": 20}}, "min_relevance": 0.5, "group": "brand"}
    none = {"hits": [], "warnings": ["no image has price"]}
    texts = {"q": "red", **page, "match": "vector"}
    service.expect_oneshot_request("/v1/search/text", json=texts).respond_with_json(none)
    asked = {name: json.dumps(value) if name == "filter" else str(value) for name, value in page.items()}
    service.expect_oneshot_request("/v1/search/image", query_string=asked).respond_with_json(none)
    both = {"query": [{"text": "red"}, {"image": "cGljdHVyZQ=="}], **page, "match": "text"}
    service.expect_oneshot_request("/v1/search", json=both).respond_with_json(none)
    for given in (
        ["red", "--match", "vector"],
        ["--image", tmp_path / "mine.png"],
        ["red", "--image", tmp_path / "mine.png", "--match", "text"],
    ):
        assert run(settings, *given, *NARROW) == 1
        assert capsys.readouterr().err.splitlines() == ["no image has price", NOTHING_FOUND]
    service.check_assertions()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["red", "--filter", "{"], "filter: "),
        (["red", "--filter", '{"price": {"less": 1}}', "--offset", "-1"], "offset: "),
        (["red", "--min-relevance", "2"], "min_relevance: "),
        (["red", "--group", "key"], "group: key is another one for each image"),
        (["red", "--match", "words"], "match: "),
        (["--image", __file__, "--match", "text"], "match: is not a parameter"),
    ],
)
def test_mistakes_are_those_of_the_api(settings, given, problem):
    with pytest.raises(ConfigError, match=problem):
        run(settings, *given)


def test_a_page_holds_its_pictures_and_metadata_stay_text(settings, service, tmp_path):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT]})
    run(settings, "<script>", "--html", tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text()
    assert "data:image/webp;base64,UklGRg==" in page
    assert "&lt;b&gt;rex&lt;/b&gt;" in page
    assert "<b>rex" not in page
    assert "<script>" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_picture_that_is_gone_is_told_in_its_place(settings, httpserver, service, tmp_path):
    gone = HIT | {"id": "1" * 32}
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT, gone]})
    service.expect_request(f"/v1/images/{gone['id']}/thumbnail").respond_with_json({"detail": "it is gone"}, 404)
    run(settings, "dog", "--html", tmp_path / "found.html")
    assert "it is gone" in (tmp_path / "found.html").read_text()


def test_a_service_that_asks_for_keys_is_given_one_of_which_nothing_is_left(settings, service, capsys):
    database = Database.open(settings.database_address)

    def answer(request):
        key = request.headers.get("X-API-Key")
        if not key:
            return Response(json.dumps({"detail": "a key is asked for"}), 401)
        assert Access(database).key_of(key).scopes == {"search"}
        return Response(json.dumps({"hits": [HIT]}))

    service.expect_request("/v1/search/text").respond_with_handler(answer)
    run(settings, "a dog")
    assert "rex" in capsys.readouterr().out
    assert every_key(database) == []
    database.close()


@pytest.mark.parametrize(("status", "error"), [(400, InvalidInput), (422, InvalidInput), (503, Unavailable)])
def test_what_the_service_says_is_handed_on(settings, service, status, error):
    service.expect_request("/v1/search/text").respond_with_json({"detail": "because"}, status)
    with pytest.raises(error, match="because"):
        run(settings, "a dog")


def test_a_service_of_another_machine_is_not_asked_at_this_one_s_loopback(settings):
    settings.data_dir.mkdir()
    database = Database.open(settings.database_address)
    with database.write() as session:
        row = {"target": target_of(settings), "corpus": "/x", "model": "m@1", "address": "http://127.0.0.1:9"}
        session.add(OwnerRow(name="other-boot/1/2", **row))
    database.close()
    with pytest.raises(ConfigError, match="ML_API_MODEL"), finder_of(settings.model_copy(update={"model": "/no"})):
        pytest.fail("a model that is not there was loaded")


def test_control_characters_in_a_key_do_nothing_to_a_terminal(settings, service, capsys):
    service.expect_request("/v1/search/text").respond_with_json({"hits": [HIT | {"key": "a\x1b[31m\nb é.jpg"}]})
    run(settings, "a dog")
    assert capsys.readouterr().out.splitlines()[1].endswith("/a\\x1b[31m\\nb é.jpg")


@pytest.mark.parametrize("arguments", [[], [""], ["a", "--json", "--open"], ["a", "--limit", "0"], ["a", "--limit", "101"]])
def test_a_search_for_nothing_and_other_mistakes_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        parse(["search", *arguments])
    assert refused.value.code == 2


def test_json_of_duplicates_is_no_option_of_syncs():
    """`duplicates --json` ended with a traceback."""
    options, _given, problems = parse(["duplicates", "--json"])
    assert (options.json, problems) == (True, [])
