"""kill -9 in the middle of a sync, again and again: what is left is completed by the next one."""

import hashlib
import json
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.e2e.server_process import MODEL, environment, run

IMAGES = 3000
KILLS = 10
SEED = 20261121


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("crash") / "images"
    noise = np.random.default_rng(SEED)
    for number in range(IMAGES):
        path = root / f"{number % 10}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64), Image.Resampling.NEAREST).save(path)
    return root


@pytest.mark.timeout(420)
def test_ten_kills_lose_nothing_and_duplicate_nothing(corpus, tmp_path):
    settings = {"model": MODEL, "corpus": corpus, "data_dir": tmp_path}
    chance = random.Random(SEED)
    interrupted = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "ml_api", "sync"],
            cwd=tmp_path,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate(timeout=chance.uniform(0.5, 3.5))
            assert process.returncode == 0, output.decode()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
            interrupted += 1
    assert interrupted >= KILLS // 2, "the syncs ended before they could be killed: nothing was tested"
    last = run("sync", **settings)
    assert last.returncode == 0, last.stdout + last.stderr
    assert stored(tmp_path / "milvus.db") == in_folder(corpus)
    again = run("sync", **settings)
    assert json.loads(again.stdout.splitlines()[-1])["ml_api.sync.unchanged"] == IMAGES


def in_folder(corpus):
    return sorted(
        (path.relative_to(corpus).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in corpus.rglob("*.png")
    )


def stored(uri):
    """Key and digest of every row: a list, so that a duplicate would show."""
    from ml_api.embedding.pretrained import resolve

    model = resolve(str(MODEL))
    store = MilvusStore(MilvusEndpoint(str(uri)), "images", VectorIndex(), Metrics())
    store.ensure(model.model_id, model.dim)
    try:
        rows = sorted((entry.key, entry.digest) for entry in store.entries())
        assert store.count() == len(rows)
        return rows
    finally:
        store.close()
