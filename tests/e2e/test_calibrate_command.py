"""The commands `calibrate` and `evaluate relevance` on the demo's model and some of its pictures, without and beside a service."""

import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from ml_api.database import Database
from ml_api.database.tables import OwnerRow
from ml_api.feedback import Judgements, PastSearch, RecentSearches, Retention
from ml_api.metrics import Metrics
from ml_api.services import target_of
from ml_api.settings import load_settings
from ml_api.vocabulary import Verdict
from tests.e2e.server_process import ROOT, Server, environment, run

FITTED = "    is there a match, cross-validated over "


def told(done):
    """Its result, which is no log."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def rows(done):
    return [line.strip() for line in told(done)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The demo's judged queries, for all its pictures, of which few are there."""
    file = tmp_path_factory.mktemp("judged") / "queries.jsonl"
    with file.open("wb") as lines:
        subprocess.run([sys.executable, "-m", "demo.confidence"], cwd=ROOT, stdout=lines, check=True, timeout=60)
    return file


@pytest.fixture(scope="module")
def indexed(demo_corpus, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("calibrated"), demo_corpus)
    server.index()
    return server


def judge_a_hit(indexed):
    given = {f"ML_API_{name.upper()}": str(value) for name, value in indexed.settings.items()}
    settings = load_settings(given)
    with closing(Database.open(settings.database_address)) as database:
        searches = RecentSearches(database, target_of(settings), Retention(10, 1), Metrics().feedback)
        searches.note(PastSearch("one", "m", {"query": [{"text": "a red car"}]}, ("0" * 32,), 1, time.time()))
        Judgements(searches, Metrics().feedback).give("one", "0" * 32, Verdict.IRRELEVANT)


def test_without_a_service_it_is_fitted_kept_and_judged(indexed, judged):
    judge_a_hit(indexed)
    messages = told(run("calibrate", **indexed.settings))
    assert messages[0] == "searches by a text: calibrated"
    fitted = messages[1]
    assert fitted.startswith(FITTED)
    assert any(message.startswith("judged texts that it was fitted to, too: 0 of 1: ") for message in messages)
    after = run("evaluate", "relevance", "--queries", judged, **indexed.settings)
    assert [row.split("  ")[0] for row in rows(after)[1:]] == ["best raw score", "as calibrated", "fitted to these, 5 folds"]
    raw, calibrated, _ = (float(row.split("  ", 1)[1].split()[0]) for row in rows(after)[1:])
    assert calibrated >= raw - 0.05
    assert "expected calibration error" in fitted


@pytest.fixture(scope="module")
def calibration(server):
    """What the command says beside a service, once that has calibrated."""
    return run("calibrate", **server.settings)


def test_beside_a_service_that_service_calibrates(server, calibration):
    assert "the service calibrates" in calibration.stderr
    first, second, *_ = told(calibration)
    assert (first, second.startswith(FITTED)) == ("searches by a text: calibrated", True)
    assert any(line["message"].startswith("scores calibrated on ") for line in server.log_lines())
    assert server.json("/v1/search/text?q=a+red+car&limit=3")["confident"] is not None


def test_beside_a_service_that_holds_the_store_that_service_is_asked(server, calibration, judged):
    told(calibration)
    done = run("evaluate", "relevance", "--queries", judged, **server.settings)
    assert [row.split("  ")[0] for row in rows(done)[1:]] == ["best raw score", "as calibrated", "fitted to these, 5 folds"]


def test_who_waits_for_a_service_may_leave(tmp_path):
    given = {"corpus": tmp_path, "data_dir": tmp_path / "data"}
    settings = load_settings({f"ML_API_{name.upper()}": str(value) for name, value in given.items()})
    settings.data_dir.mkdir()
    with closing(Database.open(settings.database_address)) as database, database.write() as session:
        session.add(OwnerRow(name="another-machine/17/1234", target=target_of(settings), corpus="/photos", model="m@1", beat=1))
    command = [sys.executable, "-m", "ml_api", "calibrate"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(**given), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert any("the service calibrates" in line for line in iter(waiting.stderr.readline, ""))
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, errors) == (130, "the service goes on without this command\n")
