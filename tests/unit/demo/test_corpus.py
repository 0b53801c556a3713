"""The corpus: reproducible, idempotent, never taken for whole when it is not, and never drawn in training."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from demo.corpus import COUNT, METADATA, SEED, marker_of, plan, read_corpus, version, write_corpus
from demo.pool import draw_chunk
from demo.queries import FEWEST_TRUE, SHOWCASE_CLAIM, SORTS, judged_queries
from demo.relevance import Claim, Mention
from demo.train import Recipe
from ml_api.corpus.base import Coverage
from ml_api.corpus.folder import FolderCorpus

FEW = 12


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    assert write_corpus(tmp_path / "corpus", FEW)
    return tmp_path / "corpus"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_metadata_lists_exactly_the_pictures_that_are_there(corpus: Path):
    rows = [json.loads(line) for line in (corpus / METADATA).read_text().splitlines()]
    assert {row["key"] for row in rows} == {p.relative_to(corpus).as_posix() for p in corpus.rglob("*.jpg")}
    assert len(rows) == FEW
    assert all(set(row) == {"key", "caption", "facts"} and row["caption"] for row in rows)
    for row in rows:
        with Image.open(corpus / row["key"]) as picture:
            assert (picture.size, picture.format) == ((256, 256), "JPEG")


def test_keys_tell_the_facts(corpus: Path):
    assert (corpus / "snow/two-brown-dogs-0000.jpg").is_file()


def test_writing_again_changes_nothing(corpus: Path):
    before = snapshot(corpus)
    assert not write_corpus(corpus, FEW)
    assert snapshot(corpus) == before


def test_the_same_seed_writes_the_same_bytes(corpus: Path, tmp_path: Path):
    write_corpus(tmp_path / "again", FEW)
    assert snapshot(tmp_path / "again") == snapshot(corpus)


def test_without_its_marker_a_corpus_is_written_anew(corpus: Path):
    before = snapshot(corpus)
    marker_of(corpus).unlink()
    (corpus / METADATA).unlink()
    next(corpus.rglob("*.jpg")).write_bytes(b"half a pict")
    assert write_corpus(corpus, FEW)
    assert snapshot(corpus) == before


def test_a_folder_that_was_removed_is_written_anew(corpus: Path):
    before = snapshot(corpus)
    shutil.rmtree(corpus)
    assert write_corpus(corpus, FEW)
    assert snapshot(corpus) == before


def test_a_sync_leaves_out_no_file_of_it(corpus: Path):
    coverage = Coverage()
    assert len(list(FolderCorpus(corpus).list(coverage))) == FEW
    assert coverage.summary() == ""


def test_another_seed_replaces_the_corpus_and_leaves_other_files_alone(corpus: Path):
    (corpus / "mine.txt").write_text("kept")
    assert write_corpus(corpus, FEW, SEED + 1)
    files = {name for name in snapshot(corpus) if name.endswith(".jpg")}
    assert files == {key for key, _ in read_corpus(corpus)}
    assert (corpus / "mine.txt").read_text() == "kept"


def test_a_written_corpus_is_found_without_importing_torch(corpus: Path):
    code = "import sys; from demo.corpus import main; main(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(corpus), "--count", str(FEW)], capture_output=True, text=True, check=True
    )
    event, torch = done.stdout.splitlines()
    assert json.loads(event)["event"] == "corpus already there"
    assert torch == "False"


def test_the_version_covers_every_module_that_decides_a_picture():
    assert len(version()) == 16


def test_the_corpus_and_training_share_no_scene():
    corpus = {picture.scene.seed for picture in plan(COUNT, SEED)}
    scenes, _, _ = draw_chunk(Recipe.seed, 0, 16)
    assert {seed % 2 for seed in corpus} == {0}
    assert {scene.seed % 2 for scene in scenes} == {1}


def test_a_training_chunk_depends_only_on_its_seed_and_number():
    (scenes, pictures, labels), (again, repeated, relabelled) = draw_chunk(5, 3, 16), draw_chunk(5, 3, 16)
    assert scenes == again
    assert (pictures == repeated).all()
    assert (labels == relabelled).all()


def test_the_showcase_query_has_pictures_to_find():
    scenes = [picture.scene for picture in plan(COUNT, SEED)]
    assert sum(map(SHOWCASE_CLAIM.true_of, scenes)) >= 5
    assert sum(map(Claim((Mention("dog"),)).true_of, scenes)) > 50


def test_every_judged_query_has_enough_true_pictures():
    scenes = [picture.scene for picture in plan(COUNT, SEED)]
    queries = judged_queries(scenes)
    assert len(queries) == sum(SORTS.values()) == 300
    assert len({query.text for query in queries}) == 300
    assert all(sum(map(query.claim.true_of, scenes)) >= FEWEST_TRUE for query in queries)
    assert queries == judged_queries(scenes)
