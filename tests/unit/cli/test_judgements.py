"""The command `evaluate judgements`: which setups there are, whom it asks, and what it shows."""

import json

import pytest
from werkzeug import Response

from ml_api.cli.judgements import Setup, evaluate_judgements, is_repeatable, setup_of
from ml_api.cli.parsing import parse
from ml_api.database import Database
from ml_api.database.tables import OwnerRow
from ml_api.errors import ConfigError, InvalidInput
from ml_api.indexing.jobs.heartbeat import pid_namespace
from ml_api.records import image_id
from ml_api.services import target_of
from ml_api.settings import load_settings

A, B = image_id("a"), image_id("b")


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "data").mkdir()
    return load_settings({"ML_API_CORPUS": str(tmp_path / "photos"), "ML_API_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def service(settings, httpserver):
    """The row of a service, which finds B before A, unless it is asked for an exact answer."""
    database = Database.open(settings.database_address)
    with database.write() as session:
        address = httpserver.url_for("").rstrip("/")
        session.add(OwnerRow(name=f"{pid_namespace()}/none", target=target_of(settings), corpus="/x", model="m@1", address=address))

    def answer(request):
        results = []
        for query in request.get_json()["queries"]:
            if "bad" in str(query):
                results.append({"problem": {"detail": "is bad"}, "found": None})
                continue
            hits = [A, B] if query.get("exact") else [B, A]
            results.append({"problem": None, "found": {"hits": [{"id": one} for one in hits]}})
        return Response(json.dumps({"results": results}), content_type="application/json")

    httpserver.expect_request("/v1/search/batch").respond_with_handler(answer)
    yield httpserver
    database.close()


def evaluated(settings, tmp_path, *arguments, texts=("red", "green")):
    path = tmp_path / "judged.jsonl"
    path.write_text("".join(json.dumps({"text": text, "key": "a"}) + "\n" for text in texts), encoding="utf-8")
    options, _, _ = parse(["evaluate", "judgements", "--queries", str(path), *arguments])
    return evaluate_judgements(settings, options)


def test_setups_are_compared_through_the_service_that_runs(settings, service, tmp_path, capsys):
    assert evaluated(settings, tmp_path, "--k", "1", "--setup", "exact=false", "--setup", "exact=true") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["2", "queries", "precision@1", "recall@1", "MRR", "nDCG@1", "judged@1"]
    assert lines[1].startswith("exact=false")
    assert "0.500 [0.500, 0.500]" in lines[1]
    assert "1.000 [1.000, 1.000]" in lines[2]


def test_a_mark_is_explained_where_there_is_one(settings, service, tmp_path, capsys):
    def last_line(queries):
        setups = ("--k", "1", "--setup", "exact=false", "--setup", "exact=true")
        evaluated(settings, tmp_path, *setups, texts=[f"red {number}" for number in range(queries)])
        return capsys.readouterr().out.splitlines()[-1]

    assert last_line(2) == "no significant difference from exact=false (paired permutation test, p < 0.05)"
    assert last_line(20) == "* differs from exact=false (paired permutation test, p < 0.05)"


def test_one_query_is_told_in_the_singular(settings, service, tmp_path, capsys):
    assert evaluated(settings, tmp_path, texts=("red",)) == 0
    assert capsys.readouterr().out.startswith("1 query ")


def test_json_has_every_mean_with_its_interval(settings, service, tmp_path, capsys):
    evaluated(settings, tmp_path, "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["queries"] == 2
    assert shown["setups"]["as configured"]["MRR"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "p": None}


def test_a_query_that_the_service_refuses_is_named(settings, service, tmp_path):
    with pytest.raises(InvalidInput, match=r"bad.* cannot be searched for: is bad"):
        evaluated(settings, tmp_path, texts=("red", "bad"))


@pytest.mark.parametrize("setup", ["effort=20", "model=other"])
def test_what_a_service_has_one_of_is_said(settings, service, tmp_path, setup):
    with pytest.raises(ConfigError, match="one model and one effort; stop it"):
        evaluated(settings, tmp_path, "--setup", setup)


def test_what_a_service_alone_knows_is_said_without_one(settings, tmp_path):
    with pytest.raises(ConfigError, match="diversity is known to a running service alone; start one"):
        evaluated(settings, tmp_path, "--setup", "diversity=0.5")


def test_without_a_file_and_feedback_there_is_nothing_to_measure(settings):
    options, _, _ = parse(["evaluate", "judgements"])
    with pytest.raises(InvalidInput, match="there is no feedback yet: mark hits as good or bad matches"):
        evaluate_judgements(settings, options)


def test_a_setup_names_model_effort_and_what_the_api_takes():
    assert setup_of("model=x,effort=3,exact=true,match=text").asked == (("exact", True), ("match", "text"))
    assert setup_of("as configured") == Setup("as configured")
    for wrong in ("exact", "=3", "exact=", "effort=0", "effort=x", "effort=²", "effort=" + "9" * 5000):
        with pytest.raises(ConfigError, match="--setup"):
            setup_of(wrong)


def test_searches_whose_texts_or_images_were_not_kept_cannot_be_repeated():
    assert is_repeatable({"query": [{"text": "red"}, {"id": A}], "filter": {"width": 1}})
    assert not is_repeatable({"query": [{"hash": "x"}]})
    assert not is_repeatable({"query": [{"text": "red"}, {"image": None}]})
    assert not is_repeatable({"query": [{"text": "red"}], "filter": None})
