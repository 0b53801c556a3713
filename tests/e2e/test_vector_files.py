"""The commands `extract`, `import` and `export` as people run them: from images to a file to a store, and to a file again."""

import json
import signal
import subprocess
import sys

import numpy as np
from PIL import Image

from ml_api.embedding.pretrained import resolve
from ml_api.metrics import Metrics
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.files.columns import record_of
from ml_api.vectors.files.opening import open_vectors
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.e2e.server_process import MODEL, environment, run
from tests.waiting import wait_until

IMAGES = 1500


def content(path):
    """Records and vectors, bit for bit, by id."""
    rows = list(open_vectors(path).read())
    return {(record := record_of(row.fields)).id: (record, row.vector.tobytes()) for row in rows}


def ok(*arguments, **settings):
    done = run(*arguments, model=MODEL, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_what_was_extracted_is_what_a_sync_would_have_indexed_and_an_export_gives_it_back(demo_corpus, tmp_path):
    extracted, exported, data = tmp_path / "extracted.parquet", tmp_path / "exported.jsonl", tmp_path / "data"
    data.mkdir()
    ok("extract", extracted, demo_corpus, data_dir=data)
    assert not (data / "milvus.db").exists()
    assert any("120 imported" in told for told in ok("import", extracted, data_dir=data))
    assert any("120 unchanged" in told for told in ok("sync", demo_corpus, data_dir=data))
    ok("export", exported, data_dir=data)
    assert content(exported) == content(extracted)
    assert sorted(tmp_path.iterdir()) == [data, exported, extracted]
    found_and_refused(data, extracted)


def found_and_refused(data, extracted):
    """An image is found by its vector, and while this process owns the store, an import is refused."""
    pretrained = resolve(str(MODEL))
    store = MilvusStore(MilvusEndpoint(str(data / "milvus.db")), "images", VectorIndex(), Metrics())
    store.ensure(pretrained.model_id, pretrained.dim)
    try:
        first = next(iter(open_vectors(extracted).read()))
        [[hit]] = store.search(first.vector[None], SearchOptions(1))
        assert hit.record == record_of(first.fields)
        refused = run("import", extracted, model=MODEL, data_dir=data)
        assert refused.returncode == 2
        assert "is in use by process" in refused.stderr
    finally:
        store.close()


def test_an_extraction_that_is_stopped_says_how_far_it_came_and_goes_on(tmp_path):
    corpus, target, data = tmp_path / "corpus", tmp_path / "v.avro", tmp_path / "data"
    corpus.mkdir()
    data.mkdir()
    noise = np.random.default_rng(1)
    for number in range(IMAGES):
        pixels = noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(corpus / f"{number:04}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_api", "extract", target, corpus],
        cwd=tmp_path,
        env=environment(model=MODEL, data_dir=data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until((tmp_path / "v.avro.parts" / "state.json").exists, timeout_s=60)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    message = error.splitlines()[-1]
    done = int(message.removeprefix("stopped after ").partition(" ")[0].replace(",", ""))
    assert message == f"stopped after {done:,} of 1,500; run it again to go on"
    assert not target.exists()
    [last] = [told for told in ok("extract", target, corpus, data_dir=data) if told.startswith("extract done")]
    assert f"{IMAGES - done} added, {done} unchanged" in last
    assert sorted(record.key for record, _ in content(target).values()) == sorted(path.name for path in corpus.iterdir())


def test_a_file_that_is_not_there_is_told_before_a_model_that_is_not(tmp_path):
    refused = run("import", tmp_path / "v.parquet", model="nobody/nothing", data_dir=tmp_path / "data")
    assert refused.returncode == 2
    assert refused.stderr == f"error: there is no {tmp_path / 'v.parquet'}\n"


def test_a_file_of_another_model_is_refused_before_the_store_is_opened(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps({"key": "a", "model": "clip@1", "vector": [1.0] + [0.0] * (resolve(str(MODEL)).dim - 1)}) + "\n")
    refused = run("import", path, model=MODEL, data_dir=tmp_path / "data")
    assert refused.returncode == 2
    assert "holds vectors of the model clip@1, but the configured model is" in refused.stderr
    assert not (tmp_path / "data").exists()
