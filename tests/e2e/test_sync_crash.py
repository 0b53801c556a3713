"""kill -9 in the middle of a sync, again and again, while files come, move and go: what is left is completed by the next one."""

import hashlib
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from ml_api.indexing.tasks import BATCH
from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.e2e import killed_sync
from tests.e2e.server_process import MODEL, ROOT, environment, run
from tests.waiting import wait_until

IMAGES = 600
KILLS = 6
"""Of each corpus."""
CORPORA = 2
"""Side by side: a sync that starts uses one core."""
LATEST_S = 1.5
"""A sync is killed at any moment until then, from when it has opened its store."""
SLOW_S = 400
"""On a machine that does much else."""
SEED = 20261121


class Corpus:
    def __init__(self, root, number):
        self.root = root
        self.chance = random.Random(SEED + number)
        self._noise = np.random.default_rng(SEED + number)
        self._drawn = 0
        for _ in range(IMAGES):
            self.draw()

    def draw(self):
        path = self.root / f"{self._drawn % 10}" / f"{self._drawn:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = self._noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(path)
        self._drawn += 1

    def disturb(self):
        """New files, others under new names, others gone, and one that takes the name of another."""
        paths = self.chance.sample(sorted(self.root.rglob("*.png")), 46)
        for path in paths[:40]:
            path.rename(path.with_name(f"m{path.name}"))
        for path in paths[40:44]:
            path.unlink()
        paths[44].replace(paths[45])
        for _ in range(60):
            self.draw()

    def files(self):
        """Key and digest of each."""
        return sorted(
            (path.relative_to(self.root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in self.root.rglob("*.png")
        )


@pytest.mark.timeout(3 * SLOW_S)
def test_twelve_kills_lose_nothing_and_duplicate_nothing(tmp_path):
    with ThreadPoolExecutor(CORPORA) as threads:
        ends = [threads.submit(kill_again_and_again, tmp_path / str(number), number) for number in range(CORPORA)]
        interrupted = sum(end.result() for end in ends)
    assert interrupted >= CORPORA * KILLS // 2, "the syncs ended before they could be killed: nothing was tested"


def test_moves_that_were_half_done_when_their_process_was_killed_are_no_accident(tmp_path):
    """A batch of images is stored under both names then: more than may be removed unasked from a small index."""
    images, uri = tmp_path / "images", tmp_path / "milvus.db"
    (images / "2023").mkdir(parents=True)
    for number in range(60):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(images / "2023" / f"{number}.png")
    with closing(killed_sync.open_store(uri)) as store:
        killed_sync.sync(store, images)
    (images / "2023").rename(images / "2024")
    killed = subprocess.run([sys.executable, "-m", "tests.e2e.killed_sync", uri, images], cwd=ROOT, check=False, timeout=SLOW_S)
    assert killed.returncode == -signal.SIGKILL
    with closing(killed_sync.open_store(uri)) as store:
        assert store.count() == 60 + BATCH
        assert killed_sync.sync(store, images).outcomes == {"unchanged": BATCH, "moved": 60 - BATCH, "removed": BATCH}
        assert {entry.key for entry in store.entries()} == {f"2024/{number}.png" for number in range(60)}


def kill_again_and_again(folder, number):
    """How often a sync was killed before its end."""
    corpus = Corpus(folder / "images", number)
    settings = {"model": MODEL, "corpus": corpus.root, "data_dir": folder}
    interrupted = sum(is_killed(settings, folder, corpus) for _ in range(KILLS))
    last = run("sync", "--allow-removals", timeout=SLOW_S, **settings)
    assert last.returncode == 0, last.stdout + last.stderr
    assert stored(folder / "milvus.db") == corpus.files()
    again = run("sync", **settings)
    assert f"s: {len(corpus.files())} unchanged" in again.stdout
    return interrupted


def is_killed(settings, folder, corpus):
    metrics = folder / "sync.prom"
    metrics.unlink(missing_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ml_api", "sync", "--allow-removals"],
            cwd=folder,
            env=environment(**settings),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    wait_until(lambda: metrics.exists() or process.poll() is not None, timeout_s=SLOW_S)
    try:
        process.wait(corpus.chance.uniform(0, LATEST_S))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        return True
    finally:
        corpus.disturb()
    assert process.returncode == 0, (folder / "log").read_text()
    return False


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
