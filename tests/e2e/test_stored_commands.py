"""The commands `duplicates` and `evaluate recall` as people run them, over an embedded store that a sync has filled."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from ml_api.cli.exits import Exit
from ml_api.wording import size_in_words
from tests.e2e.server_process import MODEL, Server, environment, run

IMAGES = 30


@pytest.fixture(scope="module")
def indexed(demo_corpus, tmp_path_factory):
    """Some pictures, one of them twice, and once more with other pixels. Settings of the commands."""
    folder = tmp_path_factory.mktemp("stored")
    corpus, data = folder / "corpus", folder / "data"
    corpus.mkdir()
    data.mkdir()
    pictures = sorted(demo_corpus.rglob("*.jpg"))[:IMAGES]
    for number, picture in enumerate(pictures):
        shutil.copy(picture, corpus / f"{number:02}.jpg")
    shutil.copy(corpus / "00.jpg", corpus / "copy.jpg")
    Image.open(corpus / "00.jpg").save(corpus / "again.png")
    settings = {"model": MODEL, "corpus": corpus, "data_dir": data}
    done = run("sync", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return settings


def test_duplicates_are_listed_with_their_evidence_for_programs(indexed):
    done = run("duplicates", "--json", log_level="error", **indexed)
    assert (done.returncode, done.stderr) == (0, "")
    groups = [json.loads(line) for line in done.stdout.splitlines()]
    [exact] = [group for group in groups if group["kind"] == "exact"]
    assert {exact["key"], *(match["key"] for match in exact["duplicates"])} == {"00.jpg", "copy.jpg"}
    assert {match["digest"] for match in exact["duplicates"]} == {exact["digest"]}
    size = (indexed["corpus"] / "00.jpg").stat().st_size
    assert {exact["size_bytes"], *(match["size_bytes"] for match in exact["duplicates"])} == {size}
    near = [group for group in groups if group["kind"] == "near"]
    pairs = [(group["key"], match) for group in near for match in group["duplicates"]]
    [found, *_] = [match for key, match in pairs if "again.png" in {key, match["key"]}]
    assert found["bits"] <= 8
    assert found["similarity"] > 0.9


def test_duplicates_are_listed_in_words_for_people(indexed):
    done = run("duplicates", "--similarity", "1", **indexed)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    copies = words.index(next(line for line in words if line.startswith("exact: ")))
    size = size_in_words((indexed["corpus"] / "00.jpg").stat().st_size)
    assert words[copies].endswith(f"  ({size})")
    assert re.fullmatch(rf"    \S+\.jpg  \({size}, digest [0-9a-f]{{12}}\)", words[copies + 1])
    assert words[-1].startswith(f"{IMAGES + 2} images compared in ")
    assert "1 exact" in words[-1]


def test_recall_is_a_table_and_a_plot(indexed, tmp_path):
    plot = tmp_path / "recall.svg"
    draw = ["--plot", plot] if importlib.util.find_spec("matplotlib") else []  # of the benchmarks' requirements
    done = run("evaluate", "recall", "--queries", 10, "--k", 5, *draw, **indexed)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["ef", "recall@5", "ms"]
    assert rows[1][:2] == ["exact", "1.0000"]
    assert [row[0] for row in rows[2:]] == ["10", "16", "32", "64", "128", "256", "512"]
    assert all(0 <= float(row[1]) <= 1 and float(row[2]) > 0 for row in rows[1:])
    assert float(rows[-1][1]) == 1, "all of so few images are candidates"
    told = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert "ML_API_HNSW_EF sets ef of the index HNSW" in told
    assert not draw or "<svg" in plot.read_text()


def test_beside_a_service_that_owns_the_store_they_say_the_same(indexed, tmp_path):
    listed = run("duplicates", "--json", log_level="error", **indexed)
    assert run("keys", "create", "somebody", "--scope", "search", **indexed).returncode == 0
    queries = [{"text": f"a dog {number}", "keys": [f"{number:02}.jpg"]} for number in range(5)]
    (judged := tmp_path / "judged.jsonl").write_text("".join(f"{json.dumps(query)}\n" for query in queries))
    others = {name: value for name, value in indexed.items() if name != "data_dir"}
    with Server(indexed["data_dir"], **others, auth="on"):
        again = run("duplicates", "--json", log_level="error", **indexed)
        assert (again.returncode, again.stdout, again.stderr) == (0, listed.stdout, "")
        recall = run("evaluate", "recall", "--queries", 10, "--k", 5, **indexed)
        rows = [line.split() for line in recall.stdout.splitlines()]
        assert (recall.returncode, rows[0], rows[1][:2], rows[-1][:2]) == (
            *(0, ["ef", "recall@5", "ms"]),
            *(["exact", "1.0000"], ["512", "1.0000"]),
        )
        refused = run("export", tmp_path / "vectors.xyz", **indexed)
        assert (refused.returncode, "an ending of no vector file" in refused.stderr) == (2, True)
        relevance = run("evaluate", "relevance", "--queries", judged, **indexed)
        assert relevance.returncode == 0, relevance.stderr
        assert "ROC AUC" in relevance.stdout


def test_recall_for_programs_is_json(indexed):
    done = run("evaluate", "recall", "--json", "--queries", 10, "--k", 5, **indexed)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["index"], told["k"]) == ("HNSW", 5)
    assert told["rows"][0].keys() == {"effort", "recall", "ms"}
    assert [row["effort"] for row in told["rows"]] == [None, 10, 16, 32, 64, 128, 256, 512]


@pytest.mark.parametrize("command", ["duplicates --json", "keys list", "settings"])
def test_a_command_whose_output_is_closed_ends_without_a_word(indexed, command):
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "ml_api", *command.split()],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(log_level="error", **indexed),
            timeout=180,
            check=False,
        )
    assert (done.returncode, done.stderr) == (Exit.UNREAD, "")


def test_without_images_there_is_nothing_to_measure(tmp_path):
    settings = {"model": MODEL, "corpus": tmp_path / "empty", "data_dir": tmp_path / "data"}
    settings["corpus"].mkdir()
    assert run("sync", "--allow-empty", **settings).returncode == 0
    done = run("evaluate", "recall", **settings)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if not line.startswith("{")] == [
        "error: fewer than two images are indexed: there is nothing to compare"
    ]
    assert done.stdout == ""
