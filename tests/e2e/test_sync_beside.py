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


@pytest.fixture(scope="module")
def indexed(server, corpus):
    """Synced, through the service, by the command."""
    assert stored(server) == 0
    done = server.sync()
    assert "is run by the service" in done.stderr
    assert f"s: {images(corpus)} added" in done.stdout
    return server


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


def stored(server):
    return server.json("/v1/stats")["images"]


def images(corpus):
    return sum(path.suffix in {".jpg", ".png"} for path in corpus.rglob("*"))


def active(server):
    return server.json("/v1/sync")["active"]


def well_under_way(server):
    """The job, once it has written something."""

    def embedding():
        job = active(server)
        return job if job and job["report"] is None and job["total"] and job["done"] > already else None

    already = stored(server)
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


def test_the_service_does_it_and_finds_what_was_added_at_once(indexed, corpus):
    assert len(indexed.json("/v1/search/text?q=two+dogs")["hits"]) == 10
    indexed.sync()
    assert f"s: {images(corpus)} unchanged" in indexed.sync().stdout


def test_a_dry_run_shows_the_plan_of_the_service(indexed, corpus):
    before = stored(indexed)
    (corpus / "new.jpg").write_bytes(next(corpus.rglob("*.jpg")).read_bytes())
    there = images(corpus)
    shown = run("sync", "--dry-run", "--json", **indexed.settings)
    (corpus / "new.jpg").unlink()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    counts = json.loads(shown.stdout)["counts"]
    assert (counts["added"], counts["unchanged"]) == (there - before, before)
    assert stored(indexed) == before


def test_vectors_are_exported_and_imported_by_the_service(indexed, corpus, tmp_path, capsys):
    settings = load_settings({f"ML_API_{name.upper()}": str(value) for name, value in indexed.settings.items()})
    path, number = tmp_path / "vectors.jsonl", f"{stored(indexed):,}"
    assert export(settings, path) is Exit.DONE
    assert capsys.readouterr().out == f"{number} images, to {path}\n"
    assert import_(settings, path, "") is Exit.DONE
    assert capsys.readouterr().out == f"{number} imported\n"
    assert f"{stored(indexed):,}" == number
    other = tmp_path / "other.jsonl"
    other.write_text(path.read_text().replace('"key": "', '"name": "'))
    with pytest.raises(Unavailable, match=rf"none of the {number} rows of .* could be imported"):
        import_(settings, other, "")


def test_the_exit_codes_are_those_of_a_sync_without_a_service(indexed, corpus, tmp_path):
    settings = indexed.settings
    hidden = corpus.rename(corpus.with_name("hidden"))
    corpus.mkdir()
    refused = run("sync", **settings)
    corpus.rmdir()
    hidden.rename(corpus)
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-1].startswith("error: ")
    assert f"holds no images, but {stored(indexed):,} are indexed" in refused.stderr
    (tmp_path / "other").mkdir()
    other = run("sync", tmp_path / "other", **{name: value for name, value in settings.items() if name != "corpus"})
    assert other.returncode == 2
    assert f"indexes {corpus}, not {tmp_path / 'other'}" in other.stderr
    assert active(indexed) is None


def test_a_command_that_asks_for_what_the_service_would_not_do_is_told_so(indexed, corpus, tmp_path):
    """Its catalogue was passed over without a word, and all was said to be well."""
    (tmp_path / "shop.csv").write_text("product_id,name\n1,a shoe\n")
    asked = ["--catalogue", tmp_path / "shop.csv", "--no-follow-links"]
    refused = run("sync", *asked, **(indexed.settings | {"exif": True, "decode_timeout_s": 30}))
    assert refused.returncode == Exit.MISCONFIGURED
    assert [line.split(": ")[1] for line in refused.stderr.splitlines()] == [
        *("--catalogue", "ML_API_EXIF", "ML_API_DECODE_TIMEOUT_S")
    ]
    assert "the service that runs would do this sync, and has another value" in refused.stderr
    assert run("sync", "--dry-run", *asked, **indexed.settings).returncode == Exit.MISCONFIGURED
    assert run("sync", "--no-exif", "--catalogue", "", **indexed.settings).returncode == Exit.DONE


def test_searches_are_answered_while_it_runs_and_ctrl_c_cancels_it(indexed, corpus):
    add_many(corpus, "more")
    command = syncing(indexed)
    job = well_under_way(indexed)
    assert (job["state"], job["total"]) == ("running", images(corpus))
    for number in range(20):
        assert len(indexed.json(f"/v1/search/text?q=dog+{number}")["hits"]) == 10
    command.send_signal(signal.SIGINT)
    out, error = command.communicate(timeout=60)
    assert command.returncode == 130, out + error
    assert error.splitlines()[-1].startswith("stopped after ")
    assert active(indexed) is None
    over = indexed.json(job["links"]["self"])
    assert (over["state"], over["error"]) == ("stopped", "cancelled")
    assert 0 < over["report"]["outcomes"]["added"] < MANY
    assert f": {over['report']['summary']}\n" in out


def test_a_service_that_is_stopped_stops_its_sync_and_one_that_is_killed_leaves_it_to_the_next(indexed, corpus):
    add_many(corpus, "even more")
    command = syncing(indexed)
    job = well_under_way(indexed)
    assert indexed.stop() == 0
    _, error = command.communicate(timeout=60)
    assert command.returncode == 1
    assert error.endswith(": its process was stopped\n")
    stopped = jobs_of(indexed).get(job["id"])
    assert (stopped.state, stopped.error) == ("stopped", "its process was stopped")
    assert "Traceback" not in indexed.log()

    add_many(corpus, "most")
    indexed.start()
    command = syncing(indexed)
    job = well_under_way(indexed)
    indexed.process.kill()
    indexed.process.wait(SOON_S)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "the process that ran this sync has ended" in error
    failed = jobs_of(indexed).get(job["id"])
    assert (failed.state, failed.error) == ("failed", ENDED_EARLY)

    indexed.start()
    done = run("sync", **indexed.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stored(indexed) == images(corpus)
