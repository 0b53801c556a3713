"""`sync` beside a running service over an embedded store: the service does the work, whatever happens to either of them."""

import json
import shutil
import signal
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml_api.cli.exits import Exit
from ml_api.cli.export import export
from ml_api.cli.import_ import import_
from ml_api.database import Database
from ml_api.errors import Unavailable
from ml_api.indexing.jobs import Jobs
from ml_api.indexing.jobs.jobs import ENDED_EARLY
from ml_api.services import target_of
from ml_api.settings import load_settings
from tests.e2e.server_process import Server, environment, run
from tests.waiting import wait_until

MANY = 1200
SOON_S = 10
"""Docker's patience."""


@pytest.fixture(scope="module")
def corpus(demo_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside") / "images"
    shutil.copytree(demo_corpus, folder)
    return folder


@pytest.fixture(scope="module")
def server(corpus, tmp_path_factory):
    """Started over an index that is empty."""
    server = Server(tmp_path_factory.mktemp("service"), corpus)
    with server:
        yield server


def syncing(server):
    """The command, which goes on meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", "ml_api", "sync"],
        cwd=server.settings["data_dir"],
        env=environment(**server.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def active(server):
    return server.json("/v1/sync")["active"]


def well_under_way(server):
    """The job, once it has written something."""

    def embedding():
        job = active(server)
        return job if job and job["report"] is None and job["total"] and job["done"] > already else None

    already = server.json("/v1/stats")["images"]
    return wait_until(embedding, timeout_s=180)


def add_many(corpus, name):
    """Noise, so that no two are alike; one picture, with other bytes behind its end.

    Enough for a sync that is to be interrupted: what an earlier one left may be too little.
    """
    picture = Image.fromarray(np.random.default_rng(7).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    (corpus / name).mkdir()
    picture.save(encoded := BytesIO(), "PNG")
    for number in range(MANY):
        (corpus / name / f"{number}.png").write_bytes(encoded.getvalue() + f"{name} {number}".encode())


def jobs_of(server):
    """What the database says, also while no service runs."""
    settings = load_settings({f"ML_API_{name.upper()}": str(value) for name, value in server.settings.items()})
    return Jobs(Database.open(settings.database_address), target_of(settings), str(server.settings["corpus"]))


def test_the_service_does_it_and_finds_what_was_added_at_once(server, corpus):
    assert server.json("/v1/stats")["images"] == 0
    done = run("sync", **server.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is run by the service" in done.stderr
    assert "s: 120 added" in done.stdout
    assert len(server.json("/v1/search/text?q=two+dogs")["hits"]) == 10
    assert "s: 120 unchanged" in run("sync", **server.settings).stdout


def test_a_dry_run_shows_the_plan_of_the_service(server, corpus):
    (corpus / "new.jpg").write_bytes(next(corpus.rglob("*.jpg")).read_bytes())
    shown = run("sync", "--dry-run", "--json", **server.settings)
    (corpus / "new.jpg").unlink()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    counts = json.loads(shown.stdout)["counts"]
    assert (counts["added"], counts["unchanged"]) == (1, 120)
    assert server.json("/v1/stats")["images"] == 120


def test_vectors_are_exported_and_imported_by_the_service(server, corpus, tmp_path, capsys):
    settings = load_settings({f"ML_API_{name.upper()}": str(value) for name, value in server.settings.items()})
    path = tmp_path / "vectors.jsonl"
    assert export(settings, path) is Exit.DONE
    assert capsys.readouterr().out == f"120 images, to {path}\n"
    assert import_(settings, path, "") is Exit.DONE
    assert capsys.readouterr().out == "120 imported\n"
    assert server.json("/v1/stats")["images"] == 120
    other = tmp_path / "other.jsonl"
    other.write_text(path.read_text().replace('"key": "', '"name": "'))
    with pytest.raises(Unavailable, match=r"none of the 120 rows of .* could be imported"):
        import_(settings, other, "")


def test_the_exit_codes_are_those_of_a_sync_without_a_service(server, corpus, tmp_path):
    settings = server.settings
    hidden = corpus.rename(corpus.with_name("hidden"))
    corpus.mkdir()
    refused = run("sync", **settings)
    corpus.rmdir()
    hidden.rename(corpus)
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-1].startswith("error: ")
    assert "holds no images, but 120 are indexed" in refused.stderr
    (tmp_path / "other").mkdir()
    other = run("sync", tmp_path / "other", **{name: value for name, value in settings.items() if name != "corpus"})
    assert other.returncode == 2
    assert f"indexes {corpus}, not {tmp_path / 'other'}" in other.stderr
    assert active(server) is None


def test_searches_are_answered_while_it_runs_and_ctrl_c_cancels_it(server, corpus):
    add_many(corpus, "more")
    command = syncing(server)
    job = well_under_way(server)
    assert (job["state"], job["total"]) == ("running", 120 + MANY)
    for number in range(20):
        assert len(server.json(f"/v1/search/text?q=dog+{number}")["hits"]) == 10
    command.send_signal(signal.SIGINT)
    out, error = command.communicate(timeout=60)
    assert command.returncode == 130, out + error
    assert error.splitlines()[-1].startswith("stopped after ")
    assert active(server) is None
    over = server.json(job["links"]["self"])
    assert (over["state"], over["error"]) == ("stopped", "cancelled")
    assert 0 < over["report"]["outcomes"]["added"] < MANY
    assert f": {over['report']['summary']}\n" in out


def test_a_service_that_is_stopped_stops_its_sync_and_one_that_is_killed_leaves_it_to_the_next(server, corpus):
    add_many(corpus, "even more")
    command = syncing(server)
    job = well_under_way(server)
    assert server.stop() == 0
    _, error = command.communicate(timeout=60)
    assert command.returncode == 1
    assert error.endswith(": its process was stopped\n")
    stopped = jobs_of(server).get(job["id"])
    assert (stopped.state, stopped.error) == ("stopped", "its process was stopped")
    assert "Traceback" not in server.log()

    add_many(corpus, "most")
    server.start()
    command = syncing(server)
    job = well_under_way(server)
    server.process.kill()
    server.process.wait(SOON_S)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "the process that ran this sync has ended" in error
    failed = jobs_of(server).get(job["id"])
    assert (failed.state, failed.error) == ("failed", ENDED_EARLY)

    server.start()
    done = run("sync", **server.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.json("/v1/stats")["images"] == 120 + 3 * MANY
